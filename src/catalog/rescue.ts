import type { Queryable } from './catalog.js'
import { open } from './operations.js'

/** Remembers that the catalog was backed up; doctor warns until then. */
export async function markCatalogBackedUp(q: Queryable): Promise<void> {
  await q.query('update saasctl.instance set catalog_backed_up_at = now()')
}

/** Of several workers that find it due, one promises the backup. */
export async function lockCatalogBackups(tx: Queryable): Promise<void> {
  await tx.query('select from saasctl.instance for update')
}

/** Whether the last good backup is older than this; one that failed is tried again after a quarter of an hour. */
export async function catalogBackupIsDue(q: Queryable, everySeconds: number): Promise<boolean> {
  const rows = await q.query(
    `select from saasctl.operation where kind = 'catalog.backup' and (status in ${open}
       or status = 'succeeded' and created_at > now() - make_interval(secs => $1)
       or created_at > now() - make_interval(secs => least($1, 900))) limit 1`,
    [everySeconds]
  )
  return rows.length === 0
}
