import Fastify, { type FastifyInstance, type FastifyServerOptions } from 'fastify'
import type t from 'tap'
import { EntitySchema } from 'typeorm'
import { createCatalogLogin } from '../../src/catalog/credentials.js'
import { type Config, loadConfig } from '../../src/config.js'
import { fromHeader, fromSubdomain, type RouterOptions, router } from '../../src/router.js'
import { createTenant } from '../../src/tenants/create.js'
import type { ControlPlane } from './control-plane.js'

/** The application's own view of a table that every tenant has. */
export interface Customer {
  id: string
  name: string
  email: string
}

export const customers = new EntitySchema<Customer>({
  name: 'customer',
  tableName: 'customers',
  columns: {
    id: { type: 'bigint', primary: true, generated: 'increment' },
    name: { type: 'text' },
    email: { type: 'text' }
  }
})

/** As an application gets in: its own login of the catalog, and the routing key alone. */
export async function routerEnvironment({ adminUrl, saasctl }: ControlPlane): Promise<Record<string, string>> {
  const { url } = await createCatalogLogin(adminUrl, 'router', { name: 'tester', proof: 'asserted' })
  const routingKey = (await saasctl.keys.read('routing')).toString('base64')
  return { SAASCTL_CATALOG_URL: url, SAASCTL_ROUTING_KEY: routingKey, SAASCTL_HOME: '/nowhere' }
}

export async function routerConfig(plane: ControlPlane): Promise<Config> {
  return loadConfig({ cwd: plane.config.home, env: await routerEnvironment(plane) })
}

export async function makeTenants(plane: ControlPlane, slugs: string[], plan = 'enterprise'): Promise<void> {
  for (const slug of slugs) await createTenant(plane.saasctl, { slug, plan }, { template: 'standard' }, { wait: true })
}

export interface AppOptions {
  config: Config
  server?: FastifyServerOptions
  router?: Partial<RouterOptions>
  /** The application's own routes, before it is ready. */
  routes(app: FastifyInstance): void | Promise<void>
}

/** An application with the router; closed when the test ends. Tenants come from the host or from a trusted X-Tenant-Id. */
export async function routedApp(
  test: Pick<typeof t, 'teardown'>,
  { config, server = {}, router: more = {}, routes }: AppOptions
): Promise<FastifyInstance> {
  const app = Fastify(server)
  test.teardown(() => app.close())
  await app.register(router, {
    config,
    entities: [customers],
    resolve: [fromSubdomain('app.example'), fromHeader('x-tenant-id', { trusted: () => true })],
    pollMs: 200,
    ...more
  })
  await routes(app)
  await app.ready()
  return app
}
