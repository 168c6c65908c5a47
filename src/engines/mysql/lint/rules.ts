import { type Command, commaParts } from '../../commands.js'
import { lineOf } from '../../statements.js'
import { actionRules } from './action-rules.js'
import { commandRules } from './command-rules.js'
import { type Broken, pattern, type Setting, tableName, withoutSchema } from './rule.js'

const ALTER_TABLE = pattern('^alter (?:online )?(?:ignore )?table (?:if exists )?NAME(?: (?:no)?wait(?: \\d+)?)? ')
const CREATE_TABLE = pattern('^create (?:or replace )?(?:temporary )?table (?:if not exists )?NAME')

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
  return commaParts(code.slice(head.length)).flatMap(({ text, at }) =>
    actionRules
      .flatMap(rule => rule(text, table, setting) ?? [])
      .map(broken => ({ ...broken, table: withoutSchema(table), line: line + lineOf(code, head.length + at) - 1 }))
  )
}
