import { commandsOf } from '../../commands.js'
import { dialects } from '../../dialects.js'
import type { LintFinding, MigrationFile } from '../../engine.js'
import type { Setting } from './rule.js'
import { judge } from './rules.js'

/** `-- lint-allow: column.type` in a file's up part: somebody has looked, and it is meant. */
const ALLOW = /^[ \t]*(?:--[ \t]|#)[ \t]*lint-allow:(.*)$/gim

/**
 * What would lock or rewrite a large table, fail where there are rows, break programs that still run, or not bear being
 * cut short. Only what is certain from the text, on MySQL 8 and MariaDB alike; the rows are not known here.
 */
export async function lint(files: readonly MigrationFile[]): Promise<LintFinding[]> {
  return files.flatMap(file => {
    const allowed = new Set([...file.up.matchAll(ALLOW)].flatMap(([, codes = '']) => codes.split(/[\s,]+/)))
    const setting: Setting = { options: file.options, fresh: new Set() }
    return commandsOf(file.up, file.lines?.up ?? 1, dialects.mysql)
      .flatMap(command => judge(command, setting))
      .filter(({ code }) => !allowed.has(code))
      .map(one => ({ ...one, file: `${file.name}.sql` }))
  })
}
