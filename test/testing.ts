import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { fileURLToPath } from 'node:url'
import Fastify, { type FastifyInstance } from 'fastify'
import t from 'tap'
import type { DataSource } from 'typeorm'
import { packageFolder } from '../src/config.js'
import { fromHeader, router } from '../src/router.js'
import { suspendTenant } from '../src/tenants/suspend.js'
import { assertNoCrossing, testTenants } from '../src/testing.js'
import { customers } from './support/routed-app.js'
import { skipWithoutPostgres } from './support/servers.js'

if (!(await skipWithoutPostgres(t))) {
  const tenants = await testTenants({
    project: packageFolder,
    template: 'standard',
    tenants: ['acme', 'globex'],
    plan: 'enterprise'
  })
  t.teardown(() => tenants.close())

  /** An application that keeps customers; `dataSource` and `list` are where the planted mistakes go. */
  const application = async (
    test: Pick<typeof t, 'teardown'>,
    mistake: {
      dataSource?(own: () => Promise<DataSource>): Promise<DataSource>
      list?(key: (name: string) => string, read: () => Promise<unknown>): Promise<unknown>
    } = {}
  ): Promise<FastifyInstance> => {
    const app = Fastify()
    test.teardown(() => app.close())
    const resolve = [fromHeader('x-tenant', { trusted: () => true })]
    await app.register(router, { config: tenants.config, entities: [customers], resolve })
    const dataSource = mistake.dataSource ?? (own => own())
    const list = mistake.list ?? ((_key, read) => read())
    app.post<{ Body: { name: string } }>('/customers', async request => {
      const db = await dataSource(() => request.tenantDb())
      return db.getRepository(customers).save({ name: request.body.name, email: 'a@b.example' })
    })
    app.get('/customers', request =>
      list(
        name => request.tenant.key(name),
        async () => (await dataSource(() => request.tenantDb())).getRepository(customers).find()
      )
    )
    return app
  }
  const prove = (app: FastifyInstance, requests = 300) =>
    assertNoCrossing({
      tenants: tenants.slugs,
      requests,
      write: (tenant, name) =>
        app.inject({ method: 'POST', url: '/customers', headers: { 'x-tenant': tenant }, payload: { name } }),
      read: async tenant => (await app.inject({ url: '/customers', headers: { 'x-tenant': tenant } })).body
    })

  await t.test('an application on the router passes the test for crossings', async t => {
    t.same(await prove(await application(t)), { requests: 302 })
  })

  await t.test('one that keeps a tenant’s DataSource for the next request does not', async t => {
    const tenants = new Map<string, DataSource>()
    const app = await application(t, {
      dataSource: async own => {
        const kept = tenants.get('kept') ?? (await own())
        tenants.set('kept', kept)
        return kept
      }
    })
    await t.rejects(prove(app), { code: 'CHECK_FOUND' })
  })

  await t.test('one whose cache knows no tenants is found, and with tenant.key it is not', async t => {
    const cache = new Map<string, unknown>()
    const cached = (keyed: boolean) => async (key: (name: string) => string, read: () => Promise<unknown>) => {
      const name = keyed ? key('customers') : 'customers'
      if (!cache.has(name)) cache.set(name, await read())
      return cache.get(name)
    }
    await t.rejects(prove(await application(t, { list: cached(false) })), {
      code: 'CHECK_FOUND',
      message: /asked as (acme|globex) and answered with data of (acme|globex)|did not show/
    })
    cache.clear()
    t.same(await prove(await application(t, { list: cached(true) })), { requests: 302 })
  })

  await t.test('tests may do to a tenant what operators do', async t => {
    const app = await application(t)
    const slug = await tenants.create()
    const ask = () => app.inject({ url: '/customers', headers: { 'x-tenant': slug } })
    t.equal((await ask()).statusCode, 200)
    await suspendTenant(tenants.saasctl, slug, { wait: true })
    t.equal((await ask()).statusCode, 404)
  })

  await t.test('one tenant alone proves nothing', async t => {
    const one = { tenants: ['acme', 'acme'], write: async () => {}, read: async () => '' }
    await t.rejects(assertNoCrossing(one), { code: 'USAGE' })
  })

  await t.test('a test process that ends without closing leaves neither server nor folder', async t => {
    const child = spawn(process.execPath, [fileURLToPath(new URL('support/careless-test.js', import.meta.url))], {
      cwd: packageFolder,
      env: { PATH: process.env['PATH'] ?? '' },
      stdio: ['ignore', 'pipe', 'inherit']
    })
    const [said] = (await once(child.stdout, 'data')) as [Buffer]
    t.match(String(said), /^test-\w{12}$/m)
    const [code] = await once(child, 'exit')
    t.equal(code, 3)
    const left = (await readdir(tmpdir())).filter(name => name.startsWith(`saasctl-testing-${child.pid}-`))
    t.strictSame(left, [])
  })
}
