import type { Queryable } from '../catalog/catalog.js'
import type { DatabaseRowState } from '../catalog/databases.js'
import type { TenantStatus } from '../catalog/tenants.js'

const open = `('queued', 'running', 'waiting', 'undoing')`

/** A database as the catalog says it should be. */
export interface KnownDatabase {
  id: string
  name: string
  kind: 'tenant' | 'template'
  state: DatabaseRowState
  activeApp: 'app_a' | 'app_b'
  template: string
  tenantId: string | null
  slug: string | null
  status: TenantStatus | null
}

/** What must be on the server: everything but the dropped. */
export async function knownDatabases(q: Queryable, serverId: string): Promise<KnownDatabase[]> {
  return q.query<KnownDatabase>(
    `select d.id, d.name, d.kind, d.state, d.active_app as "activeApp", t.name as template,
       n.id as "tenantId", n.slug, n.status
     from saasctl.database d
     join saasctl.template t on t.id = d.template_id
     left join saasctl.placement p on p.database_id = d.id
     left join saasctl.tenant n on n.id = p.tenant_id
     where d.server_id = $1 and d.state <> 'dropped' order by d.id`,
    [serverId]
  )
}

export interface Whereabouts {
  id: string
  state: DatabaseRowState
  serverId: string
  server: string
}

export async function whereabouts(q: Queryable, ids: string[]): Promise<Whereabouts[]> {
  if (ids.length === 0) return []
  return q.query<Whereabouts>(
    `select d.id, d.state, d.server_id as "serverId", s.name as server
     from saasctl.database d join saasctl.server s on s.id = d.server_id where d.id = any($1::uuid[])`,
    [ids]
  )
}

/** Ids of tenants and databases that an operation is at work on: what is seen of them is on its way to something else. */
export async function atWork(q: Queryable): Promise<Set<string>> {
  const rows = await q.query<{ tenant: string | null; database: string | null }>(
    `select tenant_id as tenant, input->>'databaseId' as database from saasctl.operation where status in ${open}`
  )
  return new Set(rows.flatMap(({ tenant, database }) => [tenant, database].filter(id => id !== null)))
}

/**
 * Locks the database's row when it is provably ours and nobody's: never a tenant's, or not any more, and no operation is
 * at work on it. Undefined when that is not so.
 */
export async function lockAbandoned(
  tx: Queryable,
  id: string
): Promise<{ state: DatabaseRowState; serverId: string } | undefined> {
  const [row] = await tx.query<{ state: DatabaseRowState; serverId: string }>(
    `select d.state, d.server_id as "serverId" from saasctl.database d
     where d.id = $1 and (d.state in ('building', 'dropping', 'dropped') or (d.state = 'ready' and d.kind = 'tenant'))
       and not exists (select from saasctl.placement p where p.database_id = d.id)
       and not exists (select from saasctl.operation o where o.status in ${open} and o.input->>'databaseId' = d.id::text)
     for update`,
    [id]
  )
  return row
}

/** Locks a finished template's row, so that nobody retires it meanwhile; false when it is none any more. */
export async function lockTemplate(tx: Queryable, id: string): Promise<boolean> {
  const rows = await tx.query(
    `select from saasctl.database where id = $1 and kind = 'template' and state = 'ready' for update`,
    [id]
  )
  return rows.length === 1
}

export interface Stuck {
  id: string
  slug: string
  status: 'creating' | 'purging'
  placed: boolean
}

/** Tenants on their way somewhere with no operation that takes them there. */
export async function stuckTenants(q: Queryable): Promise<Stuck[]> {
  return q.query<Stuck>(
    `select t.id, t.slug, t.status, exists (select from saasctl.placement p where p.tenant_id = t.id) as placed
     from saasctl.tenant t where t.status in ('creating', 'purging')
       and not exists (select from saasctl.operation o where o.tenant_id = t.id and o.status in ${open}) order by t.slug`
  )
}

/** Tenants that should have a database and have none, or one that is in a state in which no tenant can live. */
export async function homelessTenants(q: Queryable): Promise<Array<{ slug: string; state: DatabaseRowState | null }>> {
  return q.query(
    `select t.slug, d.state from saasctl.tenant t
     left join saasctl.placement p on p.tenant_id = t.id left join saasctl.database d on d.id = p.database_id
     where t.status in ('active', 'suspended', 'deleted') and d.state is distinct from 'placed' order by t.slug`
  )
}

/** Databases whose sealed passwords are not all in the catalog. */
export async function databasesWithoutPasswords(q: Queryable): Promise<Array<{ name: string; slug: string | null }>> {
  return q.query(
    `select d.name, t.slug from saasctl.database d
     left join saasctl.placement p on p.database_id = d.id left join saasctl.tenant t on t.id = p.tenant_id
     where d.state <> 'dropped' and d.id not in (
       select l.database_id from saasctl.login l
       join saasctl.data_key k on k.database_id = l.database_id and k.purpose = l.purpose and k.version = l.key_version
       group by 1 having count(*) = 4)
     order by d.id`
  )
}

export interface OtherLimits {
  tenantId: string
  slug: string
  plan: string
  databaseId: string
}

/** Tenants whose server has other limits than their plan says now. Plans come with the checksum of their limits. */
export async function tenantsWithOtherLimits(q: Queryable, profiles: Map<string, string>): Promise<OtherLimits[]> {
  return q.query<OtherLimits>(
    `select t.id as "tenantId", t.slug, t.plan, d.id as "databaseId" from saasctl.tenant t
     join saasctl.placement p on p.tenant_id = t.id join saasctl.database d on d.id = p.database_id
     join unnest($1::text[], $2::text[]) as plan (name, profile) on plan.name = t.plan
     where t.status in ('active', 'suspended') and d.profile <> plan.profile
       and not exists (select from saasctl.operation o where o.tenant_id = t.id and o.status in ${open}) order by t.slug`,
    [[...profiles.keys()], [...profiles.values()]]
  )
}

export interface Count {
  serverId: string
  server: string
  said: number
  counted: number
}

/** Servers whose number of databases is not what their databases add up to; one statement, so that no create is half seen. */
export async function wrongCounts(q: Queryable): Promise<Count[]> {
  return q.query<Count>(
    `select s.id as "serverId", s.name as server, s.databases as said, coalesce(d.n, 0)::int as counted
     from saasctl.server s left join (
       select server_id, count(*) as n from saasctl.database where state <> 'dropped' group by 1) d on d.server_id = s.id
     where s.status <> 'removed' and s.databases <> coalesce(d.n, 0) order by s.name`
  )
}

/** Counts anew. The row is locked first: whoever takes or gives back a place does it before or after, never in between. */
export async function recount(tx: Queryable, serverId: string): Promise<void> {
  await tx.query('select from saasctl.server where id = $1 for update', [serverId])
  await tx.query(
    `update saasctl.server s set databases =
       (select count(*) from saasctl.database d where d.server_id = s.id and d.state <> 'dropped') where s.id = $1`,
    [serverId]
  )
}

/** What the catalog's own server allows the login that this program uses. */
export async function catalogLogin(q: Queryable): Promise<{ login: string; superuser: boolean; overAudit: boolean }> {
  const [row] = await q.query<{ login: string; superuser: boolean; overAudit: boolean }>(
    `select rolname::text as login, rolsuper as superuser, pg_has_role(oid, 'saasctl_audit', 'member') as "overAudit"
     from pg_roles where rolname = current_user`
  )
  return row ?? { login: '', superuser: false, overAudit: false }
}

/** Seconds that have passed since a moment, by the catalog's clock. */
export async function secondsSince(q: Queryable, moments: Date[]): Promise<number[]> {
  const rows = await q.query<{ seconds: number }>(
    `select extract(epoch from clock_timestamp() - at)::float8 as seconds
     from unnest($1::timestamptz[]) with ordinality as m (at, n) order by n`,
    [moments]
  )
  return rows.map(row => row.seconds)
}
