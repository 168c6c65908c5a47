import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { Catalog } from './catalog/catalog.js'
import { checkVersion, readInstance } from './catalog/instance.js'
import { type Config, loadConfig } from './config.js'
import { routedEngines, routingRegistry } from './engines/routing-registry.js'
import { type PluginOptions, tenantsPlugin } from './routing/plugin.js'
import { type Notice, Tenants, type TenantsOptions } from './routing/tenants.js'
import { keyStore, wayIn } from './way-in.js'

export { logging } from './routing/observe/logging.js'
export type { MetricsOptions } from './routing/observe/metrics.js'
export type { TracingOptions } from './routing/observe/tracing.js'
export type { Refused } from './routing/plugin.js'
export type { Claim, Identity, Source } from './routing/resolve/claim.js'
export type { SourceChoice } from './routing/resolve/claims.js'
export { custom } from './routing/resolve/custom.js'
export { fromDomain } from './routing/resolve/domain.js'
export { fromHeader } from './routing/resolve/header.js'
export type { IssuerOptions } from './routing/resolve/issuers.js'
export { fromJwt, type JwtOptions } from './routing/resolve/jwt.js'
export { fromPath } from './routing/resolve/path.js'
export { fromSubdomain } from './routing/resolve/subdomain.js'
export { fromVerifiedUser } from './routing/resolve/verified-user.js'
export type { TenantSession } from './routing/session.js'
export type { Tenant } from './routing/tenant.js'
export type { KeyPart } from './routing/tenant-key.js'
export type { Notice, Tenants, TenantsOptions } from './routing/tenants.js'

export interface CreateTenantsOptions extends TenantsOptions {
  /** From the environment and saasctl.json unless given: SAASCTL_CATALOG_URL and SAASCTL_ROUTING_KEY, or the embedded catalog. */
  config?: Config
  /** Connections to the catalog at most; 4. */
  catalogConnections?: number
}

/**
 * Opens the router for jobs and scripts: `tenants.use('acme', async session => …)`. Close it, or the process does not end.
 * ROUTER_ENTITIES when the entities cannot be shared between tenants.
 */
export async function createTenants(options: CreateTenantsOptions): Promise<Tenants> {
  const config = options.config ?? loadConfig()
  const { url } = await wayIn(config)
  const catalog = new Catalog(url, {
    max: options.catalogConnections ?? 4,
    applicationName: `${options.service ?? 'app'} router`,
    // A request waits for it. Whoever is known is served without, and an unknown tenant is better told to come again.
    connectTimeoutMs: 3_000,
    answerTimeoutMs: 3_000
  })
  try {
    await checkVersion(await readInstance(catalog))
    const tenants = new Tenants(
      { catalog, keys: keyStore(config), engines: routedEngines, engine: routingRegistry() },
      options
    )
    await tenants.start()
    return tenants
  } catch (error) {
    await catalog.close()
    throw error
  }
}

export type RouterOptions = Omit<PluginOptions, 'tenants'> & CreateTenantsOptions

/**
 * The router as a Fastify plugin: `request.tenant`, `request.tenantDb()`, `request.tenantTransaction(work)`. Not encapsulated:
 * every route registered after it is for a tenant, unless its config says `tenant: false`.
 */
export const router = fp(
  async (app: FastifyInstance, { resolve, onRefused, safeErrors, ...options }: RouterOptions) => {
    const onNotice =
      options.onNotice ??
      // The message apart: as a member too, it would stand twice in a line of which it is a key.
      (({ message, ...facts }: Notice) => app.log[/\.back$/.test(facts.event) ? 'info' : 'warn'](facts, message))
    const tenants = await createTenants({ ...options, onNotice })
    const more = { ...(onRefused && { onRefused }), ...(safeErrors !== undefined && { safeErrors }) }
    await app.register(tenantsPlugin, { tenants, resolve, ...more })
  },
  { name: 'saasctl', fastify: '5.x' }
)
