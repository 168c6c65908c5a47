import { commandsOf } from '../../commands.js'
import type { LintFinding, MigrationFile } from '../../engine.js'
import type { Setting } from './rule.js'
import { judge, notNullChecks } from './rules.js'

/** `-- lint-allow: index.blocking` in a file's up part: somebody has looked, and it is meant. */
const ALLOW = /^[ \t]*--[ \t]*lint-allow:(.*)$/gim

/**
 * What would lock or rewrite a large table, fail where there are rows, or break programs that still run. Only what is
 * certain from the text is said; the rows are not known here. Files in their order, each up part.
 */
export function lint(files: readonly MigrationFile[]): LintFinding[] {
  const checked = new Set<string>()
  return files.flatMap(file => lintFile(file, checked))
}

function lintFile(file: MigrationFile, checked: Set<string>): LintFinding[] {
  const allowed = new Set([...file.up.matchAll(ALLOW)].flatMap(([, codes = '']) => codes.split(/[\s,]+/)))
  const setting: Setting = { options: file.options, fresh: new Set(), checked, addedNotValid: false }
  const commands = commandsOf(file.up, file.lines?.up ?? 1)
  const broken = commands.flatMap(command => judge(command, setting))
  for (const pair of commands.flatMap(notNullChecks)) checked.add(pair)
  return broken.filter(({ code }) => !allowed.has(code)).map(one => ({ ...one, file: `${file.name}.sql` }))
}
