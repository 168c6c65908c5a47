import type { Queryable } from './catalog.js'
import type { NewDatabase } from './databases.js'
import type { NewTenant, TenantStatus } from './tenants.js'

/** What the catalog knows of a tenant, to be compared with what stands on the servers. */
export interface KnownTenant {
  id: string
  slug: string
  status: TenantStatus
  plan: string
  displayName: string | null
  labels: Record<string, string>
  region: string | null
  revision: number
  held: boolean
  databaseId: string | null
  database: string | null
  serverId: string | null
  since: Date | null
  /** What stands on its server is not yet, or was not when the backup was made, what the catalog says. */
  pending: boolean
}

const known = `select t.id, t.slug, t.status, t.plan, t.display_name as "displayName", t.labels, t.region, t.revision::int,
    exists (select from saasctl.hold h where h.tenant_id = t.id) as held,
    p.database_id as "databaseId", d.name as database, d.server_id as "serverId", p.since,
    exists (select from saasctl.unbound u where u.database_id = p.database_id) as pending
  from saasctl.tenant t left join saasctl.placement p on p.tenant_id = t.id left join saasctl.database d on d.id = p.database_id`

export async function knownTenants(q: Queryable, ids: string[]): Promise<Map<string, KnownTenant>> {
  const rows = await q.query<KnownTenant>(`${known} where t.id = any($1::uuid[])`, [ids])
  return new Map(rows.map(row => [row.id, row]))
}

/** The tenants that the catalog places on a server. */
export async function tenantsOn(q: Queryable, serverId: string): Promise<KnownTenant[]> {
  return q.query<KnownTenant>(`${known} where d.server_id = $1 order by t.slug`, [serverId])
}

/**
 * Of these databases, those that the catalog has, and which of them were warm in a catalog that was restored: a tenant may
 * have one of these since.
 */
export async function knownDatabaseStates(q: Queryable, ids: string[]): Promise<Map<string, 'known' | 'unclaimed'>> {
  const rows = await q.query<{ id: string; unclaimed: boolean }>(
    `select d.id, d.kind = 'tenant' and (d.state = 'ready' and i.restored_at is not null
         or d.state = 'retired' and not exists (select from saasctl.replaced_database r where r.database_id = d.id)) as unclaimed
     from saasctl.database d, saasctl.instance i where d.id = any($1::uuid[])`,
    [ids]
  )
  return new Map(rows.map(({ id, unclaimed }) => [id, unclaimed ? 'unclaimed' : 'known']))
}

/** Whose the database is by the catalog. */
export async function tenantOfDatabase(q: Queryable, databaseId: string): Promise<string | undefined> {
  const [row] = await q.query<{ id: string }>('select tenant_id as id from saasctl.placement where database_id = $1', [
    databaseId
  ])
  return row?.id
}

/** Writes a tenant that the catalog does not know, or whose creation it believes to have failed or to be under way. */
export async function reviveTenant(q: Queryable, tenant: NewTenant): Promise<void> {
  await q.query(
    `insert into saasctl.tenant (id, slug, display_name, status, plan, template, labels, region)
     values ($1, $2, $3, $4, $5, $6, $7, $8)
     on conflict (id) do update set slug = excluded.slug, display_name = excluded.display_name, status = excluded.status,
       plan = excluded.plan, template = excluded.template, labels = excluded.labels, region = excluded.region`,
    [
      tenant.id,
      tenant.slug,
      tenant.displayName,
      tenant.status,
      tenant.plan,
      tenant.template,
      tenant.labels,
      tenant.region
    ]
  )
}

/** Writes a database that is there, to be looked at before a tenant has it. It takes a place, however full its server is. */
export async function reviveDatabase(q: Queryable, database: NewDatabase): Promise<void> {
  await q.query(
    `with before as (select state from saasctl.database where id = $1),
       place as (update saasctl.server set databases = databases + 1
         where id = $2 and not exists (select from before where state <> 'dropped'))
     insert into saasctl.database (id, server_id, name, kind, template_id, state, limits, profile)
     values ($1, $2, $3, $4, $5, 'building', $6, $7)
     on conflict (id) do update set state = 'building', limits = excluded.limits, profile = excluded.profile, dropped_at = null`,
    [
      database.id,
      database.serverId,
      database.name,
      database.kind,
      database.templateId,
      database.limits,
      database.profile
    ]
  )
}

/** The tenant has this database since then. What it had by an older catalog is kept, and nobody's. */
export async function placeAgain(q: Queryable, tenantId: string, databaseId: string, since: string): Promise<void> {
  await q.query(
    `update saasctl.database set state = 'retired'
     where id = (select database_id from saasctl.placement where tenant_id = $1) and id <> $2`,
    [tenantId, databaseId]
  )
  await q.query('delete from saasctl.replaced_database where database_id = $1', [databaseId])
  await q.query(
    `insert into saasctl.placement (tenant_id, database_id, since) values ($1, $2, $3)
     on conflict (tenant_id) do update set database_id = excluded.database_id, since = excluded.since`,
    [tenantId, databaseId, since]
  )
  await q.query(`update saasctl.database set state = 'placed' where id = $1`, [databaseId])
}

export type ChangedTenant = Pick<KnownTenant, 'id' | 'slug' | 'plan' | 'displayName' | 'labels' | 'region'> & {
  status: TenantStatus
}

/**
 * Brings tenants to what they had become. All slugs are freed before the first is given: two tenants may have changed
 * theirs.
 */
export async function bringUpToDate(q: Queryable, tenants: ChangedTenant[]): Promise<void> {
  const ids = tenants.map(({ id }) => id)
  await q.query(`update saasctl.tenant set slug = 'zz-' || replace(id::text, '-', '') where id = any($1::uuid[])`, [
    ids
  ])
  for (const { id, slug, plan, displayName, labels, region, status } of tenants) {
    await q.query(
      `update saasctl.tenant set slug = $2, plan = $3, display_name = $4, labels = $5, region = $6, status = $7,
         deleted_at = case when $7 = 'deleted' then deleted_at end, purge_at = case when $7 = 'deleted' then purge_at end where id = $1`,
      [id, slug, plan, displayName, labels, region, status]
    )
  }
}

/** Who of those that exist has the slug. */
export async function holdersOf(q: Queryable, slugs: string[]): Promise<Map<string, string>> {
  const rows = await q.query<{ id: string; slug: string }>(
    `select id, slug from saasctl.tenant where slug = any($1) and status not in ('purged', 'failed')`,
    [slugs]
  )
  return new Map(rows.map(({ id, slug }) => [slug, id]))
}

/** Every store that a backup of this catalog was ever put in. */
export async function storesOfBackups(q: Queryable): Promise<string[]> {
  return (await q.query<{ store: string }>('select distinct store from saasctl.backup order by 1')).map(
    ({ store }) => store
  )
}

export async function knownBackups(q: Queryable, ids: string[]): Promise<Set<string>> {
  const rows = await q.query<{ id: string }>('select id from saasctl.backup where id = any($1::uuid[])', [ids])
  return new Set(rows.map(({ id }) => id))
}

export async function templateVersion(q: Queryable, name: string, version: number): Promise<string | undefined> {
  const [row] = await q.query<{ id: string }>('select id from saasctl.template where name = $1 and version = $2', [
    name,
    version
  ])
  return row?.id
}

/** A database that is not there any more, for backups of it to refer to. */
export async function keepDropped(q: Queryable, database: Omit<NewDatabase, 'kind'>): Promise<void> {
  await q.query(
    `insert into saasctl.database (id, server_id, name, kind, template_id, state, limits, profile, dropped_at)
     values ($1, $2, $3, 'tenant', $4, 'dropped', $5, $6, now()) on conflict do nothing`,
    [database.id, database.serverId, database.name, database.templateId, database.limits, database.profile]
  )
}

/** A deleted tenant may have been brought back since: its grace begins anew, and nobody is purged at once. */
export async function putPurgesOff(q: Queryable, graceSeconds: number): Promise<void> {
  await q.query(
    `update saasctl.tenant set purge_at = greatest(purge_at, now() + make_interval(secs => $1)) where status = 'deleted'`,
    [graceSeconds]
  )
}

/** What stands on a server with this revision is known from here on: it is never again taken for news. */
export async function outrun(q: Queryable, tenantId: string, revision: number): Promise<void> {
  await q.query('update saasctl.tenant set revision = greatest(revision, $2 + 1) where id = $1', [tenantId, revision])
}
