import { knownChecksums } from '../catalog/templates.js'
import { dialects } from '../engines/dialects.js'
import type { EngineName, MigrationFile } from '../engines/engine.js'
import { loadMigrations } from '../engines/migration-files.js'
import { asSaasctlError } from '../errors.js'
import type { Context } from '../operations/kind.js'
import type { Template } from '../templates/files.js'
import type { FileFinding } from './finding.js'

/** What can be said of the files without running them: unreadable, edited after they were applied, or dangerous. */
export async function checkFiles(context: Context, template: Template, engine: EngineName): Promise<FileFinding[]> {
  let files: MigrationFile[]
  try {
    files = await loadMigrations(template.engines[engine]?.migrations ?? '', dialects[engine])
  } catch (thrown) {
    return unreadable(thrown)
  }
  const known = await knownChecksums(context.catalog, template.name, engine)
  const edited = files.filter(({ name, checksum }) => (known.get(name) ?? checksum) !== checksum).map(editedAfterwards)
  const { lint } = await context.engine(engine)
  return [...edited, ...(await lint(files)), ...withoutDown(files)]
}

function unreadable(thrown: unknown): FileFinding[] {
  const error = asSaasctlError(thrown)
  const problems = error.data?.['problems'] as Array<{ file: string; line: number; message: string }> | undefined
  if (!problems) throw error
  return problems.map(({ file, line, message }) => ({
    level: 'error',
    code: 'file.unreadable',
    message: `The file ${message}.`,
    file,
    line
  }))
}

function editedAfterwards({ name }: MigrationFile): FileFinding {
  return {
    level: 'error',
    code: 'file.edited',
    message: 'It was edited after it was applied: no database that has it will be migrated further.',
    fix: 'Put it back as it was, and make the change in a new migration.',
    file: `${name}.sql`
  }
}

/** Files that cannot be taken back. */
export function withoutDown(files: readonly MigrationFile[]): FileFinding[] {
  return files
    .filter(file => file.down === null)
    .map(({ name }) => ({
      level: 'warning',
      code: 'down.absent',
      message: 'It has no down part: a rollout that fails behind it cannot be taken back.',
      fix: 'Write a "-- Down Migration" part, an empty one if there is nothing to take back.',
      file: `${name}.sql`
    }))
}
