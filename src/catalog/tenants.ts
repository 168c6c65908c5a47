import { isUuid } from '../names.js'
import { prepared, type Queryable } from './catalog.js'
import { open } from './operations.js'
import { serverByName } from './servers.js'

export const tenantStatuses = ['creating', 'active', 'suspended', 'deleted', 'purging', 'purged', 'failed'] as const
export type TenantStatus = (typeof tenantStatuses)[number]

export interface TenantRow {
  id: string
  slug: string
  displayName: string | null
  status: TenantStatus
  plan: string
  template: string
  labels: Record<string, string>
  region: string | null
  revision: number
  createdAt: Date
  deletedAt: Date | null
  purgeAt: Date | null
  /** Whether its end is preceded by a last backup. */
  finalBackup: boolean
}

/** A tenant with where it lives: a line of `tenant list`. */
export interface PlacedTenant extends TenantRow {
  databaseId: string | null
  database: string | null
  server: string | null
  migration: string | null
  bytes: number | null
}

const columns = `t.id, t.slug, t.display_name as "displayName", t.status, t.plan, t.template, t.labels, t.region, t.revision::int,
  t.created_at as "createdAt", t.deleted_at as "deletedAt", t.purge_at as "purgeAt", t.final_backup as "finalBackup"`

const placed = `select ${columns}, d.id as "databaseId", d.name as database, s.name as server, d.migration, d.bytes::float8 as bytes
  from saasctl.tenant t
  left join saasctl.placement p on p.tenant_id = t.id
  left join saasctl.database d on d.id = p.database_id
  left join saasctl.server s on s.id = d.server_id`

/** By slug among those that exist, or by id among all that ever did. */
export async function findTenant(q: Queryable, slugOrId: string): Promise<PlacedTenant | undefined> {
  const [row] = isUuid(slugOrId)
    ? await q.query<PlacedTenant>(prepared(`${placed} where t.id = $1`), [slugOrId])
    : await q.query<PlacedTenant>(prepared(`${placed} where t.slug = $1 and t.status not in ('purged', 'failed')`), [
        slugOrId
      ])
  return row
}

/** The id of a tenant whose row it locks, found as `findTenant` does: what is read of it next is how it is. */
export async function lockTenantNamed(q: Queryable, slugOrId: string): Promise<string | undefined> {
  const which = isUuid(slugOrId) ? 't.id = $1' : `t.slug = $1 and t.status not in ('purged', 'failed')`
  const [row] = await q.query<{ id: string }>(prepared(`select t.id from saasctl.tenant t where ${which} for update`), [
    slugOrId
  ])
  return row?.id
}

/** Locks the tenant's row: whoever starts an operation on it comes after whoever holds it. */
export async function lockTenant(q: Queryable, id: string): Promise<TenantRow | undefined> {
  const [row] = await q.query<TenantRow>(
    prepared(`select ${columns} from saasctl.tenant t where t.id = $1 for update`),
    [id]
  )
  return row
}

/** What several tenants can be chosen by; every part that is given must fit. */
export interface Selector {
  slugs?: string[]
  except?: string[]
  plan?: string
  server?: string
  statuses?: TenantStatus[]
  labels?: Record<string, string>
  region?: string
  template?: string
}

/** Gives the number of a query's parameter. */
export type Parameter = (value: unknown) => string

/** The selector as conditions on a query's tenant `t` and database `d`; undefined when no tenant can fit. */
export async function selectorConditions(
  q: Queryable,
  selector: Selector,
  parameter: Parameter
): Promise<string[] | undefined> {
  const statuses = selector.statuses ?? ['creating', 'active', 'suspended']
  // One status is said as an equation: then its index gives the page in order.
  const conditions = [
    statuses.length === 1 ? `t.status = ${parameter(statuses[0])}` : `t.status = any(${parameter(statuses)})`
  ]
  // Said as the partial index says it, so that the planner can use it.
  if (!statuses.some(status => status === 'purged' || status === 'failed'))
    conditions.push(`t.status not in ('purged', 'failed')`)
  if (selector.slugs) conditions.push(`t.slug = any(${parameter(selector.slugs)})`)
  if (selector.except) conditions.push(`t.slug <> all(${parameter(selector.except)})`)
  if (selector.plan !== undefined) conditions.push(`t.plan = ${parameter(selector.plan)}`)
  if (selector.region !== undefined) conditions.push(`t.region = ${parameter(selector.region)}`)
  if (selector.template !== undefined) conditions.push(`t.template = ${parameter(selector.template)}`)
  if (selector.labels && Object.keys(selector.labels).length > 0)
    conditions.push(`t.labels @> ${parameter(selector.labels)}`)
  if (selector.server !== undefined) {
    // By id: the planner knows how many databases an id means. By name it walked through a million tenants for thirty.
    const server = await serverByName(q, selector.server)
    if (!server) return undefined
    conditions.push(`d.server_id = ${parameter(server.id)}`)
  }
  return conditions
}

/** A page in the order of slugs, after the slug that ended the page before. */
export async function listTenants(
  q: Queryable,
  selector: Selector,
  page: { after?: string; limit: number }
): Promise<PlacedTenant[]> {
  const values: unknown[] = []
  const parameter = (value: unknown) => `$${values.push(value)}`
  const conditions = await selectorConditions(q, selector, parameter)
  if (!conditions) return []
  if (page.after !== undefined) conditions.push(`t.slug > ${parameter(page.after)}`)
  return q.query<PlacedTenant>(
    `${placed} where ${conditions.join(' and ')} order by t.slug, t.id limit ${parameter(page.limit)}`,
    values
  )
}

export interface NewTenant {
  id: string
  slug: string
  displayName: string | null
  status: TenantStatus
  plan: string
  template: string
  labels: Record<string, string>
  region: string | null
}

export async function insertTenant(q: Queryable, tenant: NewTenant): Promise<void> {
  await q.query(
    `insert into saasctl.tenant (id, slug, display_name, status, plan, template, labels, region)
     values ($1, $2, $3, $4, $5, $6, $7, $8)`,
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

export async function setTenantStatus(q: Queryable, id: string, status: TenantStatus): Promise<void> {
  await q.query('update saasctl.tenant set status = $2 where id = $1', [id, status])
}

export async function updateTenant(
  q: Queryable,
  id: string,
  change: { plan?: string; displayName?: string; labels?: Record<string, string> }
): Promise<void> {
  await q.query(
    `update saasctl.tenant set plan = coalesce($2, plan), display_name = coalesce($3, display_name), labels = coalesce($4, labels)
     where id = $1`,
    [id, change.plan ?? null, change.displayName ?? null, change.labels ?? null]
  )
}

/** Into its grace: it can come back to what it was until `graceSeconds` have passed. */
export async function markDeleted(q: Queryable, id: string, graceSeconds: number, finalBackup: boolean): Promise<Date> {
  const [row] = await q.query<{ purgeAt: Date }>(
    `update saasctl.tenant set status_before_delete = case when status in ('active', 'suspended') then status else status_before_delete end,
       status = 'deleted', deleted_at = now(), purge_at = now() + make_interval(secs => $2), final_backup = $3
     where id = $1 returning purge_at as "purgeAt"`,
    [id, graceSeconds, finalBackup]
  )
  return row?.purgeAt ?? new Date()
}

/** The end of a deleted tenant is looked at again after so long. */
export async function putPurgeOff(q: Queryable, id: string, seconds: number): Promise<void> {
  await q.query('update saasctl.tenant set purge_at = now() + make_interval(secs => $2) where id = $1', [id, seconds])
}

/** What an undelete comes back to. */
export async function statusBeforeDelete(q: Queryable, id: string): Promise<'active' | 'suspended'> {
  const [row] = await q.query<{ before: 'active' | 'suspended' | null }>(
    'select status_before_delete as before from saasctl.tenant where id = $1',
    [id]
  )
  return row?.before ?? 'active'
}

export async function markUndeleted(q: Queryable, id: string, status: 'active' | 'suspended'): Promise<void> {
  await q.query(
    'update saasctl.tenant set status = $2, status_before_delete = null, deleted_at = null, purge_at = null, final_backup = true where id = $1',
    [id, status]
  )
}

/** Tenants whose grace is over, that nothing works on and that nobody holds. */
export async function tenantsToPurge(q: Queryable, limit: number): Promise<Array<{ id: string }>> {
  return q.query<{ id: string }>(
    `select t.id from saasctl.tenant t where t.status = 'deleted' and t.purge_at <= now()
       and not exists (select from saasctl.operation o where o.tenant_id = t.id
         and o.status in ${open})
       and not exists (select from saasctl.hold h where h.tenant_id = t.id)
     order by t.purge_at limit $1`,
    [limit]
  )
}

export async function renameTenant(q: Queryable, id: string, slug: string): Promise<void> {
  await q.query('update saasctl.tenant set slug = $2 where id = $1', [id, slug])
}

/** Keeps a freed slug back, so that a late link or token of the old holder cannot reach the next one. */
export async function quarantineSlug(q: Queryable, slug: string, tenantId: string, seconds: number): Promise<void> {
  await q.query(
    `insert into saasctl.slug_quarantine (slug, tenant_id, until) values ($1, $2, now() + make_interval(secs => $3))
     on conflict (slug) do update set tenant_id = excluded.tenant_id, until = excluded.until`,
    [slug, tenantId, seconds]
  )
}

/** Until when the slug is kept back from this tenant; undefined when it may have it. */
export async function quarantinedUntil(q: Queryable, slug: string, tenantId: string): Promise<Date | undefined> {
  const [row] = await q.query<{ until: Date }>(
    'select until from saasctl.slug_quarantine where slug = $1 and tenant_id <> $2 and until > now()',
    [slug, tenantId]
  )
  return row?.until
}

/** Voids what applications have cached of the tenant. */
export async function voidCache(q: Queryable, id: string): Promise<void> {
  await q.query('update saasctl.tenant set cache_version = cache_version + 1 where id = $1', [id])
}
