import { checksum } from '../canonical.js'
import type { AppliedMigration, MigrationFile } from '../engines/engine.js'
import { SaasctlError } from '../errors.js'
import { quoteInput } from '../names.js'

export interface MigrationWish {
  direction: 'up' | 'down'
  /** Up: the last to apply. Down: the last to keep; absent undoes one. */
  to: string | null
}

/** Which files to apply, in order, each with the migration that the ledger must end at before it. */
export type MigrationPlan = Array<{ file: MigrationFile; after: string | null }>

/**
 * Decides what to run, from the files, the database's own ledger and what each file said when it was first applied
 * anywhere. Pure. Refuses files that were edited, removed or slipped in before an applied one.
 */
export function planMigrations(
  files: MigrationFile[],
  applied: AppliedMigration[],
  known: Map<string, string>,
  wish: MigrationWish
): MigrationPlan {
  checkApplied(files, applied, known)
  return wish.direction === 'up' ? planUp(files, applied, wish.to) : planDown(files, applied, wish.to)
}

function checkApplied(files: MigrationFile[], applied: AppliedMigration[], known: Map<string, string>): void {
  const byName = new Map(files.map(file => [file.name, file]))
  for (const { name } of applied) {
    const file = byName.get(name)
    if (!file) {
      throw new SaasctlError('MIGRATION_CHANGED', `Migration ${name} is applied, but its file is gone.`, {
        hint: 'Put the file back as it was; undo a migration with a later one or with --down.'
      })
    }
    if ((known.get(name) ?? file.checksum) !== file.checksum) {
      throw new SaasctlError('MIGRATION_CHANGED', `Migration ${name} was edited after it was applied.`, {
        hint: 'Put the file back as it was and make the change in a new migration.'
      })
    }
  }
}

function planUp(files: MigrationFile[], applied: AppliedMigration[], to: string | null): MigrationPlan {
  const done = new Set(applied.map(({ name }) => name))
  const end = to === null ? files.length : indexOf(files, to) + 1
  const lastDone = files.findLastIndex(file => done.has(file.name))
  const plan: MigrationPlan = []
  let after = applied.at(-1)?.name ?? null
  for (const [index, file] of files.slice(0, end).entries()) {
    if (done.has(file.name)) continue
    if (index < lastDone && !file.options.outOfOrder) {
      throw new SaasctlError(
        'MIGRATION_CHANGED',
        `Migration ${file.name} comes before ${files[lastDone]?.name}, which is applied.`,
        {
          hint: 'Rename it to come last, or allow it with the line "-- saasctl: out_of_order=true" at its top.'
        }
      )
    }
    plan.push({ file, after })
    after = file.name
  }
  return plan
}

function planDown(files: MigrationFile[], applied: AppliedMigration[], to: string | null): MigrationPlan {
  const names = applied.map(({ name }) => name)
  if (to !== null) indexOf(files, to)
  const keep = to === null ? names.length - 1 : names.indexOf(to) + 1
  if (to !== null && keep === 0) {
    throw new SaasctlError('MIGRATION_NOT_FOUND', `Migration ${to} is not applied to this database.`, {
      hint: 'See what is applied with "saasctl tenant migrations".'
    })
  }
  const plan: MigrationPlan = []
  for (let index = names.length - 1; index >= Math.max(keep, 0); index -= 1) {
    const file = files.find(candidate => candidate.name === names[index]) as MigrationFile
    if (file.down === null) {
      throw new SaasctlError('MIGRATION_NOT_FOUND', `Migration ${file.name} has no down part.`, {
        hint: 'Write one after a "-- Down Migration" line, or go forward with a new migration.'
      })
    }
    plan.push({ file, after: file.name })
  }
  return plan
}

function indexOf(files: MigrationFile[], name: string): number {
  const index = files.findIndex(file => file.name === name)
  if (index < 0) throw noMigration(files, name)
  return index
}

/** MIGRATION_NOT_FOUND, with the one that was meant: a number alone says which, to a reader. */
export function noMigration(files: MigrationFile[], name: string): SaasctlError {
  const meant = files.filter(file => name !== '' && file.name.startsWith(name))
  const newest = `The newest is ${files.at(-1)?.name ?? 'none: the folder is empty'}.`
  return new SaasctlError('MIGRATION_NOT_FOUND', `There is no migration ${quoteInput(name)}.`, {
    hint: meant.length === 1 ? `Did you mean ${meant[0]?.name}?` : newest
  })
}

/**
 * Says in one value which migrations a database has, and what each of them said. In which order it got them makes no
 * difference: one that came out of its order, with its header's permission, ends where all others do.
 */
export function migrationsChecksum(applied: Array<{ name: string }>, files: MigrationFile[]): string {
  const byName = new Map(files.map(file => [file.name, file.checksum]))
  return checksum(inFilesOrder(applied, files).map(name => [name, byName.get(name) ?? null]))
}

/** Where a database stands: the newest of its migrations as the files go, which need not be the one applied last. */
export function standing(
  applied: Array<{ name: string }>,
  files: MigrationFile[]
): { migration: string | null; migrationsChecksum: string } {
  return {
    migration: inFilesOrder(applied, files).at(-1) ?? null,
    migrationsChecksum: migrationsChecksum(applied, files)
  }
}

/** Those without a file come last, as they came. */
function inFilesOrder(applied: Array<{ name: string }>, files: MigrationFile[]): string[] {
  const index = new Map(files.map((file, at) => [file.name, at]))
  const at = (name: string) => index.get(name) ?? files.length
  return applied.map(({ name }) => name).toSorted((a, b) => at(a) - at(b))
}
