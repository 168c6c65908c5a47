import pg from 'pg'
import { canonical } from '../canonical.js'
import type { Actor } from '../catalog/audit.js'
import { loadContents } from '../catalog/contents.js'
import { catalogError } from '../catalog/errors.js'
import { programVersion } from '../catalog/instance.js'
import { migrateCatalog } from '../catalog/migrate.js'
import { SaasctlError } from '../errors.js'
import type { KeyStore } from '../secrets/keystore.js'
import { type CatalogHead, openCatalog } from './archive.js'

export interface RestoredCatalog extends Omit<CatalogHead, 'v'> {
  rows: number
}

/**
 * Puts a backup of a catalog into an empty catalog database, as its owner. CATALOG_STATE when there is a catalog in it. All
 * of it is one transaction after the migrations: killed anywhere, it may be run again.
 */
export async function restoreCatalog(
  adminUrl: string,
  keys: KeyStore,
  stored: Parameters<typeof openCatalog>[1],
  actor: Actor
): Promise<RestoredCatalog> {
  const { head, content } = await openCatalog(keys, stored)
  const { v: _, ...about } = head
  try {
    const newest = await programVersion()
    if (head.schemaVersion > newest) throw fromNewer(head, newest)
    const rows = await fill(adminUrl, head, content, actor)
    await migrateCatalog(adminUrl)
    return { ...about, rows }
  } finally {
    content.destroy()
  }
}

async function fill(adminUrl: string, head: CatalogHead, content: AsyncIterable<Buffer>, actor: Actor) {
  const client = new pg.Client({ connectionString: adminUrl, application_name: 'saasctl catalog restore' })
  client.on('error', () => {})
  try {
    await client.connect()
    // Two at once: the second finds what the first has made.
    await client.query(`select pg_advisory_lock(hashtextextended('saasctl catalog restore', 0))`)
    await refuseFull(client, head)
    await migrateCatalog(adminUrl, head.schemaVersion)
    await client.query('begin')
    const counts = await loadContents(client, content)
    const { id, takenAt, incarnation } = head
    // The backup was under way when it was read, and did not know of itself.
    await client.query('update saasctl.instance set restored_at = now(), catalog_backed_up_at = $1', [takenAt])
    await client.query('select saasctl.audit_append($1, $2, $3, $4, $5, $6)', [
      'catalog',
      actor.name,
      actor.proof,
      'catalog.restore',
      'catalog',
      canonical({ backup: id, takenAt, incarnation })
    ])
    await client.query('commit')
    return Object.values(counts).reduce((sum, count) => sum + count, 0)
  } catch (error) {
    throw error instanceof SaasctlError ? error : catalogError(error)
  } finally {
    await client.end().catch(() => {})
  }
}

/** A catalog that was only made, or that an earlier try left without rows, is empty. */
async function refuseFull(client: pg.Client, head: CatalogHead): Promise<void> {
  const { rows } = await client.query<{ there: boolean }>(
    `select to_regclass('saasctl.operation') is not null as there`
  )
  if (!rows[0]?.there) return
  const { rows: full } = await client.query<{ full: boolean; version: number }>(
    `select (exists (select from saasctl.server) or exists (select from saasctl.tenant) or exists (select from saasctl.operation)
       or exists (select from saasctl.template)) as full, (select schema_version from saasctl.instance) as version`
  )
  if (full[0]?.full) {
    throw new SaasctlError('CATALOG_STATE', 'There is a catalog in this database already; nothing was restored.', {
      hint: 'Restore into an empty database: name it with SAASCTL_CATALOG_ADMIN_URL.'
    })
  }
  if ((full[0]?.version ?? 0) > head.schemaVersion) {
    throw new SaasctlError(
      'CATALOG_STATE',
      `The empty catalog in this database is at version ${full[0]?.version}, the backup at ${head.schemaVersion}.`,
      { hint: 'Restore into a database in which nothing was migrated yet; the restore migrates it itself.' }
    )
  }
}

function fromNewer({ id, program, schemaVersion }: CatalogHead, newest: number): SaasctlError {
  return new SaasctlError(
    'CATALOG_AHEAD',
    `Backup ${id} is of a catalog at version ${schemaVersion}; this program knows version ${newest}.`,
    { hint: `Install saasctl ${program}, or a newer one.` }
  )
}
