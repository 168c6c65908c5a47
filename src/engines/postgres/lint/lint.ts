import type { LintFinding, MigrationFile } from '../../engine.js'
import { type Command, loadParser, type Misspelt } from './parse.js'
import { type Broken, fail, type Setting } from './rule.js'
import { judge, notNullChecks } from './rules.js'

/** `-- lint-allow: index.blocking` in a file's up part: somebody has looked, and it is meant. */
const ALLOW = /^[ \t]*--[ \t]*lint-allow:(.*)$/gim

/**
 * What would lock or rewrite a large table, fail where there are rows, reach beyond the database, or break programs that
 * still run. Only what is certain from the text is said; the rows are not known here. Files in their order, each up part.
 */
export async function lint(files: readonly MigrationFile[]): Promise<LintFinding[]> {
  if (files.length === 0) return []
  const parse = await loadParser()
  const checked = new Set<string>()
  return files.flatMap(file => lintFile(file, parse(file.up), checked))
}

function lintFile(file: MigrationFile, parsed: Command[] | Misspelt, checked: Set<string>): LintFinding[] {
  const allowed = new Set([...file.up.matchAll(ALLOW)].flatMap(([, codes = '']) => codes.split(/[\s,]+/)))
  const broken = Array.isArray(parsed) ? judgeAll(file, parsed, checked) : [unreadable(parsed)]
  const first = (file.lines?.up ?? 1) - 1
  return broken
    .filter(({ code }) => !allowed.has(code))
    .map(one => ({ ...one, file: `${file.name}.sql`, line: first + one.line }))
}

function judgeAll(
  { options }: MigrationFile,
  commands: Command[],
  checked: Set<string>
): Array<Broken & { line: number }> {
  const setting: Setting = { options, fresh: new Set(), checked, addedNotValid: false }
  const broken = commands.flatMap(command => judge(command, setting))
  for (const pair of commands.flatMap(notNullChecks)) checked.add(pair)
  return broken
}

const unreadable = ({ message, line }: Misspelt) => ({
  ...fail('syntax', `PostgreSQL cannot read this: ${message}.`, 'Mend the statement.'),
  line
})
