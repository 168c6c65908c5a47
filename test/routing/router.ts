import Fastify, { type FastifyInstance } from 'fastify'
import t from 'tap'
import { EntitySchema } from 'typeorm'
import { createCatalogLogin } from '../../src/catalog/credentials.js'
import { loadConfig } from '../../src/config.js'
import { createTenants, fromHeader, fromSubdomain, type RouterOptions, router } from '../../src/router.js'
import { createTenant } from '../../src/tenants/create.js'
import { renameTenant } from '../../src/tenants/rename.js'
import { resumeTenant } from '../../src/tenants/resume.js'
import { suspendTenant } from '../../src/tenants/suspend.js'
import { controlPlane } from '../support/control-plane.js'
import { eventually } from '../support/eventually.js'
import { skipWithoutPostgres } from '../support/servers.js'

/** The application's own view of a table that every tenant has. */
interface Customer {
  id: string
  name: string
  email: string
}
const customers = new EntitySchema<Customer>({
  name: 'customer',
  tableName: 'customers',
  columns: {
    id: { type: 'bigint', primary: true, generated: 'increment' },
    name: { type: 'text' },
    email: { type: 'text' }
  }
})

if (!(await skipWithoutPostgres(t))) {
  const plane = await controlPlane()
  t.teardown(() => plane.close())
  const { saasctl } = plane
  const wait = { wait: true }
  for (const slug of ['acme', 'globex', 'initech'])
    await createTenant(saasctl, { slug, plan: 'enterprise' }, { template: 'standard' }, wait)

  // As an application gets in: its own login of the catalog, and the routing key alone.
  const { url } = await createCatalogLogin(plane.adminUrl, 'router', { name: 'tester', proof: 'asserted' })
  const routingKey = (await saasctl.keys.read('routing')).toString('base64')
  const config = loadConfig({
    cwd: plane.config.home,
    env: { SAASCTL_CATALOG_URL: url, SAASCTL_ROUTING_KEY: routingKey, SAASCTL_HOME: '/nowhere' }
  })

  /** What the careless handler got, after its response was sent. */
  let late: Promise<unknown> | undefined

  const application = async (t: Pick<Tap, 'teardown'>, more: Partial<RouterOptions> = {}): Promise<FastifyInstance> => {
    const app = Fastify()
    t.teardown(() => app.close())
    await app.register(router, {
      config,
      entities: [customers],
      resolve: [fromSubdomain('app.example'), fromHeader('x-tenant-id', { trusted: () => true })],
      pollMs: 200,
      ...more
    })
    app.get('/customers', { config: { tenant: 'host' } }, async request => {
      const db = await request.tenantDb()
      return { tenant: request.tenant.slug, customers: await db.getRepository(customers).find() }
    })
    app.post<{ Body: { name: string } }>('/customers', { config: { tenant: 'host' } }, request =>
      request.tenantTransaction(manager =>
        manager.getRepository(customers).save({ name: request.body.name, email: 'mail@example.com' })
      )
    )
    app.get('/health', { config: { tenant: false } }, () => ({ ok: true }))
    app.get('/careless', { config: { tenant: 'host' } }, async request => {
      const db = await request.tenantDb()
      setTimeout(() => {
        late = db.query('select 1').then(
          () => 'served',
          error => error.code
        )
      }, 30)
      return 'bye'
    })
    await app.ready()
    return app
  }
  const get = (app: FastifyInstance, slug: string, url = '/customers') =>
    app.inject({ url, headers: { host: `${slug}.app.example` } })
  /** A router hears of a change a moment after the command that made it has ended. */
  const becomes = (app: FastifyInstance, slug: string, status: number) =>
    eventually(
      () => get(app, slug),
      ({ statusCode }) => statusCode === status
    )

  t.test('each request reaches its own tenant’s database, and no other', async t => {
    const app = await application(t)
    for (const slug of ['acme', 'globex']) {
      const payload = { name: `customer of ${slug}` }
      const made = await app.inject({
        method: 'POST',
        url: '/customers',
        payload,
        headers: { host: `${slug}.app.example` }
      })
      t.equal(made.statusCode, 200, made.body)
    }
    await Promise.all(
      Array.from({ length: 200 }, async (_, index) => {
        const slug = index % 2 ? 'acme' : 'globex'
        const { tenant, customers } = (await get(app, slug)).json<{ tenant: string; customers: Customer[] }>()
        if (tenant !== slug || customers.some(({ name }) => !name.endsWith(slug))) t.fail(`${slug} saw ${tenant}`)
      })
    )
    t.equal((await get(app, 'initech')).json().customers.length, 0)
  })

  t.test('unknown, suspended and disagreeing look the same from outside', async t => {
    const app = await application(t)
    await suspendTenant(saasctl, 'initech', wait)
    await becomes(app, 'initech', 404)
    const answers = await Promise.all([
      get(app, 'nobody'),
      get(app, 'initech'),
      app.inject({ url: '/customers', headers: { host: 'app.example' } }),
      app.inject({ url: '/customers', headers: { host: 'a.b.app.example' } })
    ])
    for (const { statusCode, body } of answers)
      t.same({ statusCode, body }, { statusCode: 404, body: answers[0]?.body })
    t.equal((await app.inject('/health')).statusCode, 200)
    await resumeTenant(saasctl, 'initech', wait)
    t.equal((await becomes(app, 'initech', 200)).json().tenant, 'initech', 'and is back')
  })

  t.test('a suspension stops the next request, and the one that is under way may finish', async t => {
    const app = await application(t)
    let inside = () => {}
    const begun = new Promise<void>(resolve => {
      inside = resolve
    })
    let finish = () => {}
    const finished = new Promise<void>(resolve => {
      finish = resolve
    })
    t.equal((await get(app, 'globex')).statusCode, 200)
    const tenants = await createTenants({ config, entities: [customers], drainMs: 10_000 })
    t.teardown(() => tenants.close())
    const slow = tenants.use('globex', async session => {
      await session.transaction(async manager => {
        await manager.query('select 1')
        inside()
        await finished
      })
      return 'done'
    })
    await begun
    await renameTenant(saasctl, 'globex', 'globex-two')
    await renameTenant(saasctl, 'globex-two', 'globex')
    finish()
    t.equal(await slow, 'done')
    await suspendTenant(saasctl, 'globex', wait)
    t.equal((await becomes(app, 'globex', 404)).statusCode, 404)
    await eventually(
      () => tenants.use('globex', async () => 'served').catch(error => error.code),
      said => said === 'TENANT_REFUSED'
    )
    await resumeTenant(saasctl, 'globex', wait)
  })

  t.test('a tenant’s database is not to be had after its request has ended', async t => {
    const app = await application(t)
    t.equal((await get(app, 'acme', '/careless')).statusCode, 200)
    await new Promise(resolve => setTimeout(resolve, 100))
    t.equal(await late, 'LEASE_ENDED')
  })

  t.test('the router’s own logins open nothing but the route and app logins', async t => {
    const tenants = await createTenants({ config, entities: [customers] })
    t.teardown(() => tenants.close())
    const who = await tenants.use('acme', async session => {
      const [row] = await (await session.db()).query('select session_user as login, current_user as role')
      return row
    })
    t.match(who, { login: /^t\w{26}a$/, role: /^t\w{26}app$/ })
  })
}

type Tap = typeof t
