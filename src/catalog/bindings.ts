import type { Queryable } from './catalog.js'
import { open } from './operations.js'
import type { TenantStatus } from './tenants.js'

/** A placed database whose owner is not written down on its server yet, with all that is to be written. */
export interface Unbound {
  databaseId: string
  database: string
  /** Compared when it is settled: what changed meanwhile is written again. */
  changes: number
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

/** The next of them on one server, in the order of ids. */
export async function unboundOn(q: Queryable, serverId: string, after: string, limit: number): Promise<Unbound[]> {
  return q.query<Unbound>(
    `select d.id as "databaseId", d.name as database, u.changes::int, t.id as "tenantId", t.slug, t.display_name as "displayName",
       t.status, t.plan, t.template, v.version as "templateVersion", t.labels, t.region, t.revision::int, p.since
     from saasctl.unbound u join saasctl.database d on d.id = u.database_id join saasctl.template v on v.id = d.template_id
     join saasctl.placement p on p.database_id = d.id join saasctl.tenant t on t.id = p.tenant_id
     where d.server_id = $1 and u.database_id > $2 order by u.database_id limit $3`,
    [serverId, after, limit]
  )
}

/** They are written down, as they were then; what no tenant has any more needs no writing. */
export async function settleBound(
  q: Queryable,
  written: ReadonlyArray<Pick<Unbound, 'databaseId' | 'changes'>>
): Promise<void> {
  await q.query(
    `delete from saasctl.unbound u using unnest($1::uuid[], $2::bigint[]) as w (id, changes)
     where u.database_id = w.id and u.changes = w.changes`,
    [written.map(({ databaseId }) => databaseId), written.map(({ changes }) => changes)]
  )
  await q.query(
    'delete from saasctl.unbound u where not exists (select from saasctl.placement p where p.database_id = u.database_id)'
  )
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
