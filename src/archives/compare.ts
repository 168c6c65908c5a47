import type { Played } from '../engines/dump.js'
import type { OwnerSession } from '../engines/engine.js'
import { damaged } from './frames.js'
import type { Manifest } from './manifest.js'

/** Looks whether a database that was restored is what was dumped: rows of each table, schema, migrations. BACKUP_DAMAGED when not. */
export async function compareRestored(
  manifest: Manifest,
  inside: OwnerSession,
  { rows: taken }: Played
): Promise<void> {
  const differences = differencesOf(manifest, {
    rows: await inside.rows(),
    taken,
    fingerprint: await inside.fingerprint(),
    migrations: (await inside.applied()).map(({ name }) => name)
  })
  const [first, ...others] = differences
  if (first === undefined) return
  throw damaged(manifest.backup, others.length === 0 ? first : `${first}, and ${others.length} more differences`)
}

export interface Restored {
  rows: Record<string, number>
  /** Rows that came from the dump, where they were counted: what the tenant's own functions wrote since is no damage. */
  taken: Record<string, number>
  fingerprint: string
  migrations: string[]
}

/** What was dumped, as far as a restore can be compared with it. */
export type Dumped = Pick<Manifest, 'rows' | 'fingerprint'> & { migrations: ReadonlyArray<{ name: string }> }

/** What of a restored database is not as its manifest says; pure. */
export function differencesOf(manifest: Dumped, restored: Restored): string[] {
  const tables = new Set([...Object.keys(manifest.rows), ...Object.keys(restored.rows)])
  const differences = [...tables].sort().flatMap(table => {
    const [was, is] = [manifest.rows[table], restored.rows[table]]
    if (was === is || (was !== undefined && is !== undefined && was === restored.taken[table])) return []
    if (is === undefined) return [`table ${table} is missing after a restore`]
    if (was === undefined) return [`table ${table} is there after a restore, and was not dumped`]
    return [`table ${table} had ${was} rows and has ${is} after a restore`]
  })
  if (manifest.fingerprint !== restored.fingerprint) differences.push('the schema is another one after a restore')
  const names = manifest.migrations.map(({ name }) => name)
  if (names.join('\n') !== restored.migrations.join('\n')) {
    differences.push(
      `its ledger ends at ${restored.migrations.at(-1) ?? 'nothing'}, not at ${names.at(-1) ?? 'nothing'}`
    )
  }
  return differences
}
