import type { Queryable } from './catalog.js'

/** What of a tenant lies in a store: one object of a backup or an export. */
export interface StoredCopy {
  store: string
  object: string
}

/** Every object of the tenant's backups and exports that the catalog knows of. */
export async function copiesOf(q: Queryable, tenantId: string): Promise<StoredCopy[]> {
  return q.query<StoredCopy>(
    `select b.store, o.object from saasctl.backup b, unnest(array[b.object, b.manifest]) o (object)
     where b.tenant_id = $1 and o.object is not null and b.status <> 'removed'
     union all
     select store, object from saasctl.export where tenant_id = $1 and store is not null and object is not null`,
    [tenantId]
  )
}

/** They are gone; the rows stay, without what people wrote in them. */
export async function forgetCopies(q: Queryable, tenantId: string): Promise<void> {
  await q.query(
    `update saasctl.backup set status = 'removed', removed_at = coalesce(removed_at, now()), object = null, manifest = null,
       verify_error = null, hold_reason = null
     where tenant_id = $1`,
    [tenantId]
  )
  await q.query('delete from saasctl.backup_schedule where tenant_id = $1', [tenantId])
  await q.query(
    `update saasctl.export set status = case when status = 'ready' then 'expired' else status end, reason = 'erased',
       target = null, store = null, object = null, certificate = null
     where tenant_id = $1`,
    [tenantId]
  )
}

/** A backup that is held on its own: its reason, if there is one. */
export async function heldBackup(q: Queryable, tenantId: string): Promise<string | undefined> {
  const [row] = await q.query<{ reason: string }>(
    `select hold_reason as reason from saasctl.backup where tenant_id = $1 and hold_reason is not null and status <> 'removed' limit 1`,
    [tenantId]
  )
  return row?.reason
}

/** Databases that the tenant had before a restore and that are kept for their grace. */
export async function databasesBefore(q: Queryable, tenantId: string): Promise<string[]> {
  const rows = await q.query<{ id: string }>(
    `select d.id from saasctl.replaced_database r join saasctl.database d on d.id = r.database_id
     where r.tenant_id = $1 and d.state <> 'dropped' order by d.id`,
    [tenantId]
  )
  return rows.map(({ id }) => id)
}

export async function forgetDatabasesBefore(q: Queryable, tenantId: string): Promise<void> {
  await q.query('delete from saasctl.replaced_database where tenant_id = $1', [tenantId])
}
