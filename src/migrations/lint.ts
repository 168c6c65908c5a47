import type { EngineName, MigrationFile } from '../engines/engine.js'
import type { FileFinding } from './finding.js'
import type { Setting } from './rule.js'
import { judge, notNullChecks } from './rules.js'
import { commandsOf } from './statement.js'

/** Engines whose locks the rules know; the others are not linted. */
const linted: ReadonlySet<EngineName> = new Set(['postgres'])

/** `-- lint-allow: index.blocking` in a file's up part: somebody has looked, and it is meant. */
const ALLOW = /^[ \t]*--[ \t]*lint-allow:(.*)$/gim

/**
 * What would lock or rewrite a large table, fail where there are rows, or break programs that still run. Only what is
 * certain from the text is said; the rows are not known here. Files in their order, each up part.
 */
export function lint(engine: EngineName, files: readonly MigrationFile[]): FileFinding[] {
  const checked = new Set<string>()
  return files.flatMap(file => {
    const down: FileFinding[] = file.down === null ? [noDown(file)] : []
    return [...(linted.has(engine) ? lintFile(file, checked) : []), ...down]
  })
}

function lintFile(file: MigrationFile, checked: Set<string>): FileFinding[] {
  const allowed = new Set([...file.up.matchAll(ALLOW)].flatMap(([, codes = '']) => codes.split(/[\s,]+/)))
  const setting: Setting = { options: file.options, fresh: new Set(), checked, addedNotValid: false }
  const commands = commandsOf(file.up, file.lines?.up ?? 1)
  const broken = commands.flatMap(command => judge(command, setting))
  for (const pair of commands.flatMap(notNullChecks)) checked.add(pair)
  return broken.filter(({ code }) => !allowed.has(code)).map(one => ({ ...one, file: `${file.name}.sql` }))
}

function noDown({ name }: MigrationFile): FileFinding {
  return {
    level: 'warning',
    code: 'down.absent',
    message: 'It has no down part: a rollout that fails behind it cannot be taken back.',
    fix: 'Write a "-- Down Migration" part, an empty one if there is nothing to take back.',
    file: `${name}.sql`
  }
}
