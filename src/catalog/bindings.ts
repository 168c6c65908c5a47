import type { Queryable } from './catalog.js'
import { open } from './operations.js'
import type { TenantStatus } from './tenants.js'

/** A tenant's database with all that is to be written down of it on its server. */
export interface Bound {
  databaseId: string
  database: string
  tenantId: string
  slug: string
  displayName: string | null
  status: TenantStatus
  plan: string
  template: string
  templateVersion: number
  labels: Record<string, string>
  region: string | null
  revision: number
  /** Since when the tenant has this database. */
  since: Date
}

/** One of which that is not written down yet. */
export interface Unbound extends Bound {
  /** Compared when it is settled: what changed meanwhile is written again. */
  changes: number
}

const facts = `d.id as "databaseId", d.name as database, t.id as "tenantId", t.slug, t.display_name as "displayName", t.status,
    t.plan, t.template, v.version as "templateVersion", t.labels, t.region, t.revision::int`

/** The next of them on one server, in the order of ids. */
export async function unboundOn(q: Queryable, serverId: string, after: string, limit: number): Promise<Unbound[]> {
  return q.query<Unbound>(
    `select ${facts}, u.changes::int, p.since
     from saasctl.unbound u join saasctl.database d on d.id = u.database_id join saasctl.template v on v.id = d.template_id
     join saasctl.placement p on p.database_id = d.id join saasctl.tenant t on t.id = p.tenant_id
     where d.server_id = $1 and u.database_id > $2 order by u.database_id limit $3`,
    [serverId, after, limit]
  )
}

/** What is to be written of a database that is about to become a new tenant's. */
export async function boundTo(
  q: Queryable,
  tenantId: string,
  databaseId: string
): Promise<{ row: Bound; incarnation: string } | undefined> {
  const [found] = await q.query<Bound & { incarnation: string }>(
    `select ${facts}, clock_timestamp() as since, i.incarnation
     from saasctl.tenant t, saasctl.instance i, saasctl.database d join saasctl.template v on v.id = d.template_id
     where t.id = $1 and d.id = $2`,
    [tenantId, databaseId]
  )
  if (!found) return undefined
  const { incarnation, ...row } = found
  // Nothing that is read after the loss of the catalog would be done otherwise for a tenant in the making.
  return { row: { ...row, status: 'active' }, incarnation }
}

/** It was written down before the tenant had it: nothing is left to be written. For the transaction that gives it to the tenant. */
export async function settleAhead(q: Queryable, databaseId: string): Promise<void> {
  await q.query('delete from saasctl.unbound where database_id = $1', [databaseId])
}

/** They are written down, as they were then; what no tenant has any more needs no writing. */
export async function settleBound(
  q: Queryable,
  written: ReadonlyArray<Pick<Unbound, 'databaseId' | 'changes'>>
): Promise<void> {
  await q.query(
    `delete from saasctl.unbound u where (u.database_id, u.changes) in (select * from unnest($1::uuid[], $2::bigint[]))
       or not exists (select from saasctl.placement p where p.database_id = u.database_id)`,
    [written.map(({ databaseId }) => databaseId), written.map(({ changes }) => changes)]
  )
}

/** Servers on which something is to be written down of these tenants. */
export async function serversToBindFor(q: Queryable, tenantIds: string[]): Promise<string[]> {
  const rows = await q.query<{ id: string }>(
    `select distinct d.server_id as id from saasctl.placement p join saasctl.unbound u using (database_id)
       join saasctl.database d on d.id = p.database_id where p.tenant_id = any($1::uuid[])`,
    [tenantIds]
  )
  return rows.map(({ id }) => id)
}

/** Servers with something to be written down, that nobody is writing on. */
export async function serversToBind(q: Queryable): Promise<Array<{ id: string; name: string }>> {
  return q.query(
    `select s.id, s.name from saasctl.server s where s.status <> 'removed'
       and exists (select from saasctl.unbound u join saasctl.database d on d.id = u.database_id
         join saasctl.placement p on p.database_id = d.id where d.server_id = s.id)
       and not exists (select from saasctl.operation o where o.kind = 'server.bind' and o.subject = 'server:' || s.id
         and o.status in ${open}) order by s.name`
  )
}

/** What is pending was so when the catalog that was lost was backed up: what stands on the servers is newer. */
export async function forgetUnbound(q: Queryable): Promise<void> {
  await q.query('delete from saasctl.unbound')
}

/** Databases of tenants of which nothing stands on their server. */
export async function askForBindings(q: Queryable, databaseIds: string[]): Promise<void> {
  await q.query(
    `insert into saasctl.unbound (database_id) select database_id from saasctl.placement where database_id = any($1::uuid[])
     on conflict (database_id) do nothing`,
    [databaseIds]
  )
}
