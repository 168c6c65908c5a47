import type { EngineName } from '../engines/engine.js'
import type { ErrorRecord } from '../errors.js'
import type { Queryable } from './catalog.js'
import type { OperationStatus } from './operations.js'
import { type Selector, selectorConditions } from './tenants.js'

/** How many tenants of a template stand at one migration. */
export interface VersionCount {
  template: string
  engine: EngineName
  migration: string | null
  tenants: number
  bytes: number
  /** Where the template itself stands. */
  head: string | null
}

/** What lives on one server. */
export interface ServerCount {
  server: string
  engine: EngineName
  status: string
  tenants: number
  capacity: number | null
  bytes: number
  largestBytes: number
  drifted: number
}

export interface LargeTenant {
  slug: string
  server: string
  migration: string | null
  bytes: number
}

/** A tenant that something failed for and that nothing has mended since. */
export interface TroubledTenant {
  slug: string
  why: 'rollout' | 'operation' | 'drift'
  /** The rollout, or the operation, that failed. */
  id: string | null
  status: OperationStatus | null
  differences: number | null
  error: ErrorRecord | null
}

/** The tenants that count, as a common table of whatever is asked of them. */
async function chosen(q: Queryable, selector: Selector, values: unknown[]): Promise<string | undefined> {
  const conditions = await selectorConditions(
    q,
    { statuses: ['active', 'suspended'], ...selector },
    value => `$${values.push(value)}`
  )
  return (
    conditions &&
    `chosen as (
      select t.id, t.slug, t.template, d.id as database_id, d.server_id, d.migration, coalesce(d.bytes, 0)::float8 as bytes
      from saasctl.tenant t
      join saasctl.placement p on p.tenant_id = t.id
      join saasctl.database d on d.id = p.database_id
      where ${conditions.join(' and ')})`
  )
}

/** One query over the whole selection, whatever its size. */
export async function versionCounts(q: Queryable, selector: Selector): Promise<VersionCount[]> {
  const values: unknown[] = []
  const tenants = await chosen(q, selector, values)
  if (!tenants) return []
  return q.query<VersionCount>(
    `with ${tenants},
     heads as (
       select distinct on (t.name, s.engine) t.name, s.engine, d.migration from saasctl.database d
       join saasctl.template t on t.id = d.template_id join saasctl.server s on s.id = d.server_id
       where d.kind = 'template' and d.state = 'ready' order by t.name, s.engine, t.version desc, d.id desc)
     select c.template, s.engine, c.migration, count(*)::int as tenants, sum(c.bytes)::float8 as bytes, h.migration as head
     from chosen c join saasctl.server s on s.id = c.server_id
     left join heads h on h.name = c.template and h.engine = s.engine
     group by c.template, s.engine, c.migration, h.migration order by 1, 2, 3 nulls first`,
    values
  )
}

export async function serverCounts(q: Queryable, selector: Selector): Promise<ServerCount[]> {
  const values: unknown[] = []
  const tenants = await chosen(q, selector, values)
  if (!tenants) return []
  return q.query<ServerCount>(
    `with ${tenants}
     select s.name as server, s.engine, s.status, count(*)::int as tenants, s.capacity, sum(c.bytes)::float8 as bytes,
       max(c.bytes)::float8 as "largestBytes", count(f.database_id)::int as drifted
     from chosen c join saasctl.server s on s.id = c.server_id
     left join saasctl.drift f on f.database_id = c.database_id and f.differences > 0
     group by s.id order by s.name`,
    values
  )
}

export async function largestTenants(q: Queryable, selector: Selector, limit: number): Promise<LargeTenant[]> {
  const values: unknown[] = []
  const tenants = await chosen(q, selector, values)
  if (!tenants) return []
  return q.query<LargeTenant>(
    `with ${tenants}
     select c.slug, s.name as server, c.migration, c.bytes from chosen c join saasctl.server s on s.id = c.server_id
     where c.bytes > 0 order by c.bytes desc, c.slug limit $${values.push(limit)}`,
    values
  )
}

/**
 * Of each tenant its last part in a rollout, when that failed; its last operation, when that failed or is still being
 * retried; and a schema that was found to differ.
 */
export async function troubledTenants(q: Queryable, selector: Selector, limit: number): Promise<TroubledTenant[]> {
  const values: unknown[] = []
  const tenants = await chosen(q, selector, values)
  if (!tenants) return []
  return q.query<TroubledTenant>(
    `with ${tenants},
     target as (
       select distinct on (r.tenant_id) r.tenant_id, r.rollout_id, r.status, r.error from saasctl.rollout_target r
       where r.status in ('done', 'failed') order by r.tenant_id, r.finished_at desc nulls last),
     last as (
       select distinct on (o.tenant_id) o.tenant_id, o.id, o.status, o.error from saasctl.operation o
       where o.tenant_id is not null and o.kind <> 'rollout.target' order by o.tenant_id, o.id desc)
     select c.slug, 'rollout' as why, r.rollout_id as id, null as status, null::int as differences, r.error
       from chosen c join target r on r.tenant_id = c.id where r.status = 'failed'
     union all
     select c.slug, 'operation', o.id, o.status, null, o.error
       from chosen c join last o on o.tenant_id = c.id where o.status = 'failed' or o.status = 'waiting' and o.error is not null
     union all
     select c.slug, 'drift', null, null, f.differences, null
       from chosen c join saasctl.drift f on f.database_id = c.database_id where f.differences > 0
     order by 1, 2 limit $${values.push(limit)}`,
    values
  )
}
