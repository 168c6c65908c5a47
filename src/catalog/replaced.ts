import type { Queryable } from './catalog.js'
import { underHold } from './holds.js'
import { open } from './operations.js'

/** A database that a tenant had before a restore. */
export interface ReplacedRow {
  databaseId: string
  tenantId: string
  replacedBy: string
  writes: string
  replacedAt: Date
  dropAt: Date
}

const columns = `r.database_id as "databaseId", r.tenant_id as "tenantId", r.replaced_by as "replacedBy", r.writes,
  r.replaced_at as "replacedAt", r.drop_at as "dropAt"`

/** Which database a tenant has from now on, and until when the one before is kept. False when it has another one meanwhile. */
export async function replaceDatabase(
  q: Queryable,
  change: { tenantId: string; from: string; to: string; writes: string; keepSeconds: number }
): Promise<boolean> {
  const moved = await q.query(
    'update saasctl.placement set database_id = $3, since = now() where tenant_id = $1 and database_id = $2 returning tenant_id',
    [change.tenantId, change.from, change.to]
  )
  if (moved.length === 0) return false
  await q.query(
    `update saasctl.database set state = case id when $1 then 'retired' else 'placed' end where id in ($1, $2)`,
    [change.from, change.to]
  )
  await q.query('delete from saasctl.replaced_database where database_id = $1', [change.to])
  await q.query(
    `insert into saasctl.replaced_database (database_id, tenant_id, replaced_by, writes, drop_at)
     values ($1, $2, $3, $4, now() + make_interval(secs => $5))`,
    [change.from, change.tenantId, change.to, change.writes, change.keepSeconds]
  )
  return true
}

/** The database that the tenant had before the one that it has now, while it is kept. */
export async function replacedBy(q: Queryable, databaseId: string): Promise<ReplacedRow | undefined> {
  const [row] = await q.query<ReplacedRow>(
    `select ${columns} from saasctl.replaced_database r join saasctl.database d on d.id = r.database_id
     where r.replaced_by = $1 and d.state = 'retired' order by r.replaced_at desc limit 1`,
    [databaseId]
  )
  return row
}

/** Those whose grace is over, or whose tenant is gone for good; none of a tenant that is held. */
export async function replacedToDrop(q: Queryable, limit: number): Promise<ReplacedRow[]> {
  return q.query<ReplacedRow>(
    `select ${columns} from saasctl.replaced_database r
     join saasctl.database d on d.id = r.database_id join saasctl.tenant t on t.id = r.tenant_id
     where (r.drop_at <= now() or t.status = 'purged') and d.state = 'retired'
       and not exists (select from saasctl.operation o where o.tenant_id = r.tenant_id
         and o.status in ${open})
       and not ${underHold('r.tenant_id')}
     order by r.drop_at limit $1`,
    [limit]
  )
}

/** Holds a tenant, or lets it go: while it is held, routers let nobody in and say that it takes a moment. */
export async function setHeld(q: Queryable, tenantId: string, held: boolean): Promise<void> {
  await q.query('update saasctl.tenant set held = $2 where id = $1 and held <> $2', [tenantId, held])
}
