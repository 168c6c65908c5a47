import type { FastifyInstance } from 'fastify'
import { createCatalogLogin } from '../../src/catalog/credentials.js'
import { type Config, loadConfig } from '../../src/config.js'
import type { Notice, RouterOptions } from '../../src/router.js'
import { Secret } from '../../src/secret.js'
import { addServer } from '../../src/servers/add.js'
import { createTenant, type NewTenant } from '../../src/tenants/create.js'
import { type ControlPlane, controlPlane } from './control-plane.js'
import { proxyTo, type TcpProxy, through } from './proxy.js'
import { routerApp } from './router-app.js'
import { asSuperuser, controlLogin, startServer, type TestServer } from './servers.js'
import { type TinyTemplate, tinyTemplate } from './tiny-template.js'
import { durable } from './two-servers.js'

/** A server of tenants, and the network between it and everybody else. */
export interface TenantServer {
  server: TestServer
  proxy: TcpProxy
  /** What the server itself counts: sessions of app logins. */
  sessions(where?: string): Promise<number>
}

export interface Hold {
  /** How many wait. */
  waiting(): Promise<number>
  letGo(): Promise<void>
}

/** Everything that a router deals with, each on a server of its own behind a network that the test can spoil. */
export interface RouterWorld {
  plane: ControlPlane
  template: TinyTemplate
  one: TenantServer
  two: TenantServer
  /** Between routers and the catalog; the control plane has a way of its own. */
  catalog: TcpProxy
  /** A router's own way in through that network; and as the environment of a process, past it or through it. */
  config: Config
  env: Record<string, string>
  envThrough: Record<string, string>
  /** Makes a tenant, on server `one` unless told. Gives its id. */
  tenant(slug: string, more?: Omit<NewTenant, 'slug'>): Promise<string>
  /** Requests for a tenant on server `one` that ask for it (`/where?held`) are under way until the hold is let go. */
  holdRequests(slug: string): Promise<Hold>
  /** Changes the catalog behind everybody's back. */
  change<Row extends object>(sql: string, values?: unknown[]): Promise<Row[]>
  /** The application in this process until the test's end, and what its router gave notice of. */
  app(
    t: { teardown(closer: () => unknown): unknown },
    options?: Partial<RouterOptions>
  ): Promise<{ app: FastifyInstance; notices: Notice[] }>
  close(): Promise<void>
}

export async function routerWorld(): Promise<RouterWorld> {
  const closers: Array<() => Promise<unknown>> = []
  const close = async () => {
    for (const closer of closers.splice(0).reverse()) await closer()
  }
  try {
    const template = await tinyTemplate()
    closers.push(() => template.remove())
    const plane = await controlPlane({
      addServer: false,
      // It is killed, and what it said that it had committed must be there then.
      config: durable,
      env: { ...template.env, SAASCTL_LEASE: '5s', SAASCTL_BEAT: '1s' }
    })
    closers.push(() => plane.close())
    const { saasctl } = plane
    const tenantServer = async (name: string): Promise<TenantServer> => {
      const server = await startServer({ config: { max_connections: '150' } })
      closers.push(() => server.stop())
      const proxy = await proxyTo(server)
      closers.push(() => proxy.close())
      const { login, password } = await controlLogin(server)
      const { host } = server
      await addServer(saasctl, {
        name,
        engine: 'postgres',
        host,
        port: proxy.port,
        login,
        password: new Secret(password)
      })
      return { server, proxy, sessions: where => sessions(server, where) }
    }
    const one = await tenantServer('one')
    const two = await tenantServer('two')
    const catalog = await proxyTo(plane.server)
    closers.push(() => catalog.close())
    const { url } = await createCatalogLogin(plane.adminUrl, 'router', { name: 'tester', proof: 'asserted' })
    const env = {
      PATH: process.env['PATH'] ?? '',
      SAASCTL_CATALOG_URL: url,
      SAASCTL_ROUTING_KEY: (await saasctl.keys.read('routing')).toString('base64'),
      SAASCTL_HOME: plane.config.home
    }
    const envThrough = { ...env, SAASCTL_CATALOG_URL: through(catalog, url) }
    const config = loadConfig({ cwd: plane.config.home, env: envThrough })
    return {
      plane,
      template,
      one,
      two,
      catalog,
      config,
      env,
      envThrough,
      tenant: async (slug, more = {}) => {
        const wish = { slug, server: 'one', ...more }
        return (await createTenant(saasctl, wish, { template: 'tiny' }, { wait: true })).tenant.id
      },
      holdRequests: async slug => {
        const { rows } = await plane.catalogAsSuperuser(client =>
          client.query<{ name: string }>('select database as name from saasctl.route where slug = $1', [slug])
        )
        return hold(one.server, rows[0]?.name ?? '')
      },
      change: (sql, values = []) => plane.catalogAsSuperuser(async client => (await client.query(sql, values)).rows),
      app: async (t, options = {}) => {
        const notices: Notice[] = []
        const app = await routerApp({ config, onNotice: notice => notices.push(notice), ...options })
        t.teardown(() => app.close())
        return { app, notices }
      },
      close
    }
  } catch (error) {
    await close()
    throw error
  }
}

async function hold(server: TestServer, database: string): Promise<Hold> {
  let letGo = () => {}
  const over = new Promise<void>(resolve => {
    letGo = resolve
  })
  let holding = () => {}
  const begun = new Promise<void>(resolve => {
    holding = resolve
  })
  const held = asSuperuser(
    server,
    async client => {
      await client.query('select pg_advisory_lock(4711)')
      holding()
      await over
    },
    database
  )
  await Promise.race([begun, held])
  return {
    waiting: () => sessions(server, `wait_event = 'advisory' and datname = '${database}'`),
    letGo: async () => {
      letGo()
      await held
    }
  }
}

async function sessions(server: TestServer, where = 'true'): Promise<number> {
  return asSuperuser(server, async client => {
    const { rows } = await client.query<{ n: number }>(
      `select count(*)::int as n from pg_stat_activity where application_name like 'app/%' and ${where}`
    )
    return rows[0]?.n ?? 0
  })
}
