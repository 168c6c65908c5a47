import type { EngineName } from '../engines/engine.js'
import type { Queryable } from './catalog.js'
import { type Selector, selectorConditions } from './tenants.js'

/** A tenant as a rollout sees it. */
export interface FleetTenant {
  tenantId: string
  slug: string
  labels: Record<string, string>
  databaseId: string
  serverId: string
  engine: EngineName
  migration: string | null
  migrationsChecksum: string | null
  bytes: number | null
}

/** What the catalog says of a database that stands where it should. */
export interface Head {
  engine: EngineName
  checksum: string
}

/** The tenants of the template, among those selected, that do not stand at their engine's head. One query, whatever the fleet. */
export async function tenantsElsewhere(
  q: Queryable,
  template: string,
  selector: Selector,
  heads: Head[]
): Promise<FleetTenant[]> {
  const values: unknown[] = [template, heads.map(head => head.engine), heads.map(head => head.checksum)]
  const conditions = await selectorConditions(
    q,
    { statuses: ['active', 'suspended'], ...selector },
    value => `$${values.push(value)}`
  )
  if (!conditions) return []
  return q.query<FleetTenant>(
    `select t.id as "tenantId", t.slug, t.labels, d.id as "databaseId", s.id as "serverId", s.engine, d.migration,
       d.migrations_checksum as "migrationsChecksum", d.bytes::float8 as bytes
     from saasctl.tenant t
     join saasctl.placement p on p.tenant_id = t.id
     join saasctl.database d on d.id = p.database_id
     join saasctl.server s on s.id = d.server_id
     join unnest($2::text[], $3::text[]) h (engine, checksum) on h.engine = s.engine
     where t.template = $1 and d.migrations_checksum is distinct from h.checksum and ${conditions.join(' and ')}
     order by t.slug`,
    values
  )
}

/** The services of routers that live and do not say that they work with this migration: what a contract would break. */
export async function routersBelow(q: Queryable, migration: string): Promise<string[]> {
  const rows = await q.query<{ service: string }>(
    `select distinct service from saasctl.router_instance
     where lease_until > clock_timestamp() and (newest_migration is null or newest_migration < $1) order by 1`,
    [migration]
  )
  return rows.map(row => row.service)
}
