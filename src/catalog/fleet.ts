import type { EngineName } from '../engines/engine.js'
import type { Queryable } from './catalog.js'
import { open } from './operations.js'
import { type Selector, selectorConditions } from './tenants.js'

/** A tenant as a rollout sees it. */
export interface FleetTenant {
  tenantId: string
  slug: string
  labels: Record<string, string>
  databaseId: string
  /** The database's name on its server. */
  database: string
  serverId: string
  engine: EngineName
  migration: string | null
  migrationsChecksum: string | null
  fingerprint: string | null
  schemaStamp: string | null
  bytes: number | null
}

/** What the catalog says of a database that stands where it should. */
export interface Head {
  engine: EngineName
  checksum: string
}

const columns = `t.id as "tenantId", t.slug, t.labels, d.id as "databaseId", d.name as database, s.id as "serverId", s.engine,
  d.migration, d.migrations_checksum as "migrationsChecksum", d.fingerprint, d.schema_stamp as "schemaStamp",
  d.bytes::float8 as bytes`

const placed = `saasctl.tenant t
  join saasctl.placement p on p.tenant_id = t.id
  join saasctl.database d on d.id = p.database_id
  join saasctl.server s on s.id = d.server_id`

/** The tenants of the template, among those selected, that do not stand at their engine's head. One query, whatever the fleet. */
export async function tenantsElsewhere(
  q: Queryable,
  template: string,
  selector: Selector,
  heads: Head[]
): Promise<FleetTenant[]> {
  const values: unknown[] = [template, heads.map(head => head.engine), heads.map(head => head.checksum)]
  const conditions = await conditionsOf(q, selector, values)
  if (!conditions) return []
  return q.query<FleetTenant>(
    `select ${columns} from ${placed}
     join unnest($2::text[], $3::text[]) h (engine, checksum) on h.engine = s.engine
     where t.template = $1 and d.migrations_checksum is distinct from h.checksum and ${conditions}
     order by t.slug`,
    values
  )
}

/** The tenants of the template among those selected, wherever they stand. */
export async function tenantsOfTemplate(q: Queryable, template: string, selector: Selector): Promise<FleetTenant[]> {
  const values: unknown[] = [template]
  const conditions = await conditionsOf(q, selector, values)
  if (!conditions) return []
  return q.query<FleetTenant>(
    `select ${columns} from ${placed} where t.template = $1 and ${conditions} order by t.slug`,
    values
  )
}

/** How many tenants of the template are selected, wherever they stand. */
export async function countTenants(q: Queryable, template: string, selector: Selector): Promise<number> {
  const values: unknown[] = [template]
  const conditions = await conditionsOf(q, selector, values)
  if (!conditions) return 0
  const [row] = await q.query<{ n: number }>(
    `select count(*)::int as n from ${placed} where t.template = $1 and ${conditions}`,
    values
  )
  return row?.n ?? 0
}

async function conditionsOf(q: Queryable, selector: Selector, values: unknown[]): Promise<string | undefined> {
  const live: Selector = { statuses: ['active', 'suspended'], ...selector }
  const conditions = await selectorConditions(q, live, value => `$${values.push(value)}`)
  return conditions?.join(' and ')
}

/** What a look inside a database showed, beside what the catalog said when it began. */
export interface Seen {
  databaseId: string
  checksumBefore: string | null
  migration: string | null
  migrationsChecksum: string
  fingerprint: string | null
  stamp: string | null
}

/** Writes it down where nothing has changed since, and nothing is at work; gives the databases that it was written of. */
export async function setSeen(q: Queryable, seen: Seen[]): Promise<Set<string>> {
  const rows = await q.query<{ id: string }>(
    `update saasctl.database d set migration = f.migration, migrations_checksum = f.checksum, fingerprint = f.fingerprint,
       schema_stamp = f.stamp
     from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[])
       as f (id, before, migration, checksum, fingerprint, stamp)
     where d.id = f.id and d.migrations_checksum is not distinct from f.before and not exists (
       select from saasctl.placement p join saasctl.operation o on o.tenant_id = p.tenant_id
       where p.database_id = d.id and o.exclusion = 'exclusive' and o.status in ${open})
     returning d.id`,
    [
      seen.map(one => one.databaseId),
      seen.map(one => one.checksumBefore),
      seen.map(one => one.migration),
      seen.map(one => one.migrationsChecksum),
      seen.map(one => one.fingerprint),
      seen.map(one => one.stamp)
    ]
  )
  return new Set(rows.map(({ id }) => id))
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
