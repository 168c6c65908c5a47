import type { RouteRow } from '../catalog/routes.js'
import type { Credentials, DatabaseLimits, EngineName, ServerAddress } from '../engines/engine.js'
import { openDataKey } from '../secrets/data-keys.js'
import type { KeyStore } from '../secrets/keystore.js'
import { openPassword } from '../secrets/passwords.js'
import type { RequestLimits } from './guards.js'
import type { Routed } from './lookup.js'

/** The part of a plan that a router reads. */
export interface RoutePlan {
  limits: DatabaseLimits
  requests: RequestLimits
  features: Record<string, boolean>
  quotas: Record<string, number | null>
}

/** Where a tenant's requests go, as the catalog says at one revision. Frozen. */
export interface Route extends Routed {
  readonly slug: string
  readonly status: RouteRow['status']
  readonly rules: RoutePlan
  readonly serverId: string
  /** The server's name, for messages: its address is nobody's business. */
  readonly server: string
  readonly engine: EngineName
  readonly address: ServerAddress
  readonly databaseId: string
  readonly database: string
  /** The newest migration of its schema. */
  readonly migration: string | null
  readonly login: string
  readonly loginVersion: number
  /** Counted up when everything that is cached for the tenant is void. */
  readonly cacheVersion: number
  /** The same for two revisions whose connections are interchangeable. */
  readonly way: string
  /** Opens the app login's password with the routing key; once per way, because it stays in the connections' memory only. */
  credentials(): Promise<Credentials>
}

export function routeOf(row: RouteRow, keys: KeyStore): Route {
  const rules = row.planDefinition as RoutePlan
  const address = { host: row.host, port: row.port, tls: row.tls }
  return Object.freeze({
    tenantId: row.tenantId,
    slug: row.slug,
    status: row.status,
    revision: row.revision,
    plan: row.plan,
    planRevision: row.planRevision,
    rules,
    serverId: row.serverId,
    server: row.server,
    engine: row.engine,
    address,
    databaseId: row.databaseId,
    database: row.database,
    migration: row.migration,
    login: row.login,
    loginVersion: row.loginVersion,
    cacheVersion: row.cacheVersion,
    way: JSON.stringify([
      row.databaseId,
      row.login,
      row.loginVersion,
      address,
      rules.limits.connections,
      rules.limits.statementTimeoutMs,
      rules.limits.idleInTransactionMs
    ]),
    credentials: async () => {
      const { databaseId, keyVersion: version, wrapped, masterKeyId, login, loginVersion, sealed } = row
      const dataKey = await openDataKey(keys, { databaseId, purpose: 'routing', version, wrapped, masterKeyId })
      return { login, password: openPassword(dataKey, { login, version: loginVersion }, sealed) }
    }
  })
}
