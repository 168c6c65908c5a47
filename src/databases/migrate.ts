import { setSchema } from '../catalog/databases.js'
import { confirmEpoch } from '../catalog/ledger.js'
import { knownChecksums, recordChecksums } from '../catalog/templates.js'
import type { MigrationFile, OwnerSession } from '../engines/engine.js'
import { type MigrationWish, planMigrations, standing } from './plan-migrations.js'
import type { DatabaseWork } from './work.js'

/**
 * Applies what is due inside one database, as its owner. The catalog learns of each migration as it is done, so that a
 * failure or a kill between two of them leaves both sides saying the same.
 */
export async function migrateDatabase(
  work: DatabaseWork,
  inside: OwnerSession,
  template: string,
  files: MigrationFile[],
  wish: MigrationWish,
  progress: (sentence: string) => void
): Promise<void> {
  const known = await knownChecksums(work.tools.catalog, template, work.engine.name)
  const plan = planMigrations(files, await inside.applied(), known, wish)
  for (const [index, { file, after }] of plan.entries()) {
    progress(wish.direction === 'up' ? `applies ${file.name}` : `undoes ${file.name}`)
    await inside.apply(file, wish.direction, after)
    // The last one is written down below, with the fingerprint that is worth taking only once.
    if (index < plan.length - 1) await record(work, inside, template, files, null)
  }
  await record(work, inside, template, files, await inside.fingerprint())
}

/** What the database itself says is what the catalog writes down. */
async function record(
  work: DatabaseWork,
  inside: OwnerSession,
  template: string,
  files: MigrationFile[],
  fingerprint: string | null
): Promise<void> {
  const applied = await inside.applied()
  const names = new Set(applied.map(({ name }) => name))
  const seen = {
    ...standing(applied, files),
    fingerprint,
    bytes: null
  }
  await work.tools.catalog.transaction(work.operation.actor, async tx => {
    await confirmEpoch(tx, work.operation)
    await setSchema(tx, work.database.id, seen)
    await recordChecksums(
      tx,
      template,
      work.engine.name,
      files.filter(file => names.has(file.name))
    )
  })
}
