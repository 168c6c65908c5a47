import { type Command, commaParts } from '../../commands.js'
import { lineOf } from '../../statements.js'
import { actionRules } from './action-rules.js'
import { commandRules } from './command-rules.js'
import { type Broken, pattern, type Setting, tableName } from './rule.js'

const ALTER_TABLE = pattern('^alter table (?:if exists )?(?:only )?NAME(?:\\s*\\*)? ')
const CREATE_TABLE = pattern('^create (?:(?:global |local )?temp(?:orary)? |unlogged )?table (?:if not exists )?NAME')

/** Everything that is wrong with one command, each with its line. `setting` learns what the next commands are judged by. */
export function judge(command: Command, setting: Setting): Array<Broken & { line: number }> {
  const created = CREATE_TABLE.exec(command.code)?.[1]
  if (created !== undefined) setting.fresh.add(tableName(created))
  const whole = commandRules.flatMap(rule => rule(command.code, setting) ?? [])
  return [...whole.map(broken => ({ ...broken, line: command.line })), ...judgeActions(command, setting)]
}

function judgeActions({ code, line }: Command, setting: Setting): Array<Broken & { line: number }> {
  const [head = '', table = ''] = ALTER_TABLE.exec(code) ?? []
  if (table === '' || setting.fresh.has(tableName(table))) return []
  return commaParts(code.slice(head.length)).flatMap(({ text, at }) => {
    const found = actionRules.flatMap(rule => rule(text, table, setting) ?? [])
    setting.addedNotValid ||= /^add\b.*\bnot\s+valid\b/is.test(text)
    return found.map(broken => ({ ...broken, line: line + lineOf(code, head.length + at) - 1 }))
  })
}

/** `table.column` pairs of which the command says in a CHECK that they are not null. */
export function notNullChecks({ code }: Command): string[] {
  const table = ALTER_TABLE.exec(code)?.[1]
  if (table === undefined) return []
  const found = code.matchAll(/\bcheck\s*\(\s*\(?\s*([\w$]+)\s+is\s+not\s+null\b/gi)
  return [...found].map(([, column = '']) => `${tableName(table)}.${column.toLowerCase()}`)
}
