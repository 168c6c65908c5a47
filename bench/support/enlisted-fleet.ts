import type { Config } from '../../src/config.js'
import { loadConfig } from '../../src/config.js'
import type { RoutedWay } from '../../src/engines/routing.js'
import { uuidv7 } from '../../src/names.js'
import { Secret } from '../../src/secret.js'
import { newDataKey } from '../../src/secrets/data-keys.js'
import type { KeyStore } from '../../src/secrets/keystore.js'
import { sealPassword } from '../../src/secrets/passwords.js'
import { addServer } from '../../src/servers/add.js'
import { type ControlPlane, controlPlane } from '../../test/support/control-plane.js'
import { routerEnvironment } from '../../test/support/routed-app.js'
import { controlLogin } from '../../test/support/servers.js'
import type { RoutedFleet } from './routed-fleet.js'

/** A fleet that a catalog knows, on a server of its own: what a whole router needs. */
export interface EnlistedFleet {
  plane: ControlPlane
  /** In the order of the fleet's ways. */
  slugs: string[]
  routerConfig: Config
  /** For routers in other processes. */
  routerEnv: Record<string, string>
  /** Ends the catalog; the fleet goes on. */
  close(): Promise<void>
}

/** As a pg.Pool has them. */
export const planConnections = 10

/**
 * Writes the fleet into a new catalog, all rows of a kind at once and past the control plane, with passwords sealed as it
 * seals them. `routerConnections` are for all routers together, `tenantConnections` what the plan lets each tenant have.
 */
export async function enlist(
  fleet: RoutedFleet,
  routerConnections: number,
  tenantConnections = planConnections
): Promise<EnlistedFleet> {
  const plane = await controlPlane({ addServer: false })
  try {
    const { host, port } = fleet.server
    const { login, password } = await controlLogin(fleet.server)
    const wish = { name: 'fleet', engine: 'postgres', host, port, login } as const
    await addServer(plane.saasctl, { ...wish, password: new Secret(password) })
    const rows = await Promise.all(fleet.ways.map((way, index) => rowOf(plane.saasctl.keys, way, `tenant-${index}`)))
    await plane.catalogAsSuperuser(async client => {
      await client.query('set session_replication_role = replica')
      await client.query('update saasctl.server set router_connections = $1', [routerConnections])
      // One database may stand for many.
      await client.query('alter table saasctl.database drop constraint database_server_id_name_key')
      await client.query(`
        insert into saasctl.template (id, name, version, checksum, definition)
          values ('${uuidv7()}', 'standard', 1, repeat('a', 64), '{}');
        insert into saasctl.plan (name, checksum, definition) values ('free', repeat('a', 64), '${JSON.stringify(planOf(tenantConnections))}');
        create temporary table enlisted (tenant uuid, slug text, database uuid, name text, login text, sealed text, wrapped text, key text)`)
      await client.query('insert into enlisted select * from json_populate_recordset(null::enlisted, $1)', [
        JSON.stringify(rows)
      ])
      await client.query(`
        insert into saasctl.tenant (id, slug, status, plan, template) select tenant, slug, 'active', 'free', 'standard' from enlisted;
        insert into saasctl.database (id, server_id, name, kind, template_id, state, limits, profile)
          select database, s.id, e.name, 'tenant', t.id, 'placed', '{}', '' from enlisted e, saasctl.server s, saasctl.template t;
        insert into saasctl.placement (tenant_id, database_id) select tenant, database from enlisted;
        insert into saasctl.data_key (database_id, purpose, version, wrapped, master_key_id)
          select database, 'routing', 1, decode(wrapped, 'hex'), key from enlisted;
        insert into saasctl.login (database_id, role, name, purpose, key_version, version, sealed)
          select database, 'app_a', login, 'routing', 1, 1, decode(sealed, 'hex') from enlisted;
        analyze`)
    })
    const routerEnv = await routerEnvironment(plane)
    const routerConfig = loadConfig({ cwd: plane.config.home, env: routerEnv })
    return { plane, slugs: rows.map(({ slug }) => slug), routerEnv, routerConfig, close: () => plane.close() }
  } catch (error) {
    await plane.close()
    throw error
  }
}

const planOf = (connections: number) => ({
  displayName: 'Free',
  limits: { connections, statementTimeoutMs: null, idleInTransactionMs: null, tempFileMb: null },
  requests: { perSecond: null, concurrent: null },
  features: {},
  quotas: {}
})

async function rowOf(keys: KeyStore, { databaseId, database, as }: RoutedWay, slug: string) {
  const { row, dataKey } = await newDataKey(keys, { databaseId, purpose: 'routing' })
  const sealed = sealPassword(dataKey, { login: as.login, version: 1 }, as.password)
  const secrets = { sealed: sealed.toString('hex'), wrapped: row.wrapped.toString('hex'), key: row.masterKeyId }
  return { tenant: uuidv7(), slug, database: databaseId, name: database, login: as.login, ...secrets }
}
