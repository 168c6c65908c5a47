import type { EngineName, Tls } from '../engines/engine.js'
import type { Queryable } from './catalog.js'

/** A tenant as a router's login sees it: where it is, the app login that is in use, and what its plan says. */
export interface RouteRow {
  tenantId: string
  slug: string
  /** `held`: active, but nobody may be inside for some moments. */
  status: 'active' | 'held' | 'suspended' | 'deleted' | 'purging'
  revision: number
  plan: string
  planRevision: number
  planDefinition: object
  serverId: string
  server: string
  engine: EngineName
  host: string
  port: number
  tls: Tls
  databaseId: string
  database: string
  migration: string | null
  login: string
  loginVersion: number
  sealed: Buffer
  wrapped: Buffer
  keyVersion: number
  masterKeyId: string
  /** Counted up when everything that is cached for the tenant is void. */
  cacheVersion: number
}

const columns = `r.tenant_id as "tenantId", r.slug, r.status, r.revision::float8 as revision, r.plan, r.plan_revision::float8 as "planRevision",
  r.plan_definition as "planDefinition", r.server_id as "serverId", r.engine, r.host, r.port, r.tls, r.database_id as "databaseId",
  r.database, r.migration, r.login, r.login_version as "loginVersion", r.sealed, r.wrapped, r.key_version as "keyVersion",
  r.master_key_id as "masterKeyId", r.cache_version::float8 as "cacheVersion", r.server`

/** How a request names its tenant. */
export interface RouteKey {
  by: 'id' | 'slug' | 'hostname'
  value: string
}

const conditions: Record<RouteKey['by'], string> = {
  id: 'r.tenant_id = $1',
  slug: 'r.slug = $1',
  hostname: 'r.tenant_id = (select h.tenant_id from saasctl.route_hostname h where h.hostname = $1)'
}

export async function findRoute(q: Queryable, key: RouteKey): Promise<RouteRow | undefined> {
  const [row] = await q.query<RouteRow>(`select ${columns} from saasctl.route r where ${conditions[key.by]}`, [
    key.value
  ])
  return row
}

/** The routes of these tenants, in no order; those that have none are not among them. */
export async function findRoutes(q: Queryable, tenantIds: string[]): Promise<RouteRow[]> {
  return q.query<RouteRow>(`select ${columns} from saasctl.route r where r.tenant_id = any($1::uuid[])`, [tenantIds])
}

export interface Revision {
  tenantId: string
  revision: number
  planRevision: number
}

/** The present revisions of these tenants; one that is missing cannot be routed any more. */
export async function revisionsOf(q: Queryable, tenantIds: string[]): Promise<Revision[]> {
  return q.query<Revision>(
    `select r.tenant_id as "tenantId", r.revision::float8 as revision, r.plan_revision::float8 as "planRevision"
     from saasctl.route r where r.tenant_id = any($1::uuid[])`,
    [tenantIds]
  )
}

/** Which of these engines a tenant that is routed is on. */
export async function enginesInUse(q: Queryable, engines: readonly EngineName[]): Promise<EngineName[]> {
  const rows = await q.query<{ engine: EngineName }>(
    `select e.engine from unnest($1::text[]) e (engine)
     where exists (select from saasctl.route r where r.engine = e.engine)`,
    [[...engines]]
  )
  return rows.map(({ engine }) => engine)
}
