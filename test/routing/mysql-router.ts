import Fastify, { type FastifyInstance } from 'fastify'
import t from 'tap'
import { EntitySchema } from 'typeorm'
import { createCatalogLogin } from '../../src/catalog/credentials.js'
import { loadConfig } from '../../src/config.js'
import { createTenants, fromSubdomain, type RouterOptions, router } from '../../src/router.js'
import { createTenant } from '../../src/tenants/create.js'
import { controlPlane } from '../support/control-plane.js'
import { eventually } from '../support/eventually.js'
import { skipWithoutMysql } from '../support/mariadb-server.js'
import { placeInCatalog } from '../support/mysql-in-catalog.js'
import { mysqlServer } from '../support/routed-mysql.js'
import { skipWithoutPostgres } from '../support/servers.js'

interface Customer {
  id: string
  name: string
  email: string
}
/** One set of entities for tenants of both engines. */
const customers = new EntitySchema<Customer>({
  name: 'customer',
  tableName: 'customers',
  columns: {
    id: { type: 'bigint', primary: true, generated: 'increment' },
    name: { type: 'text' },
    email: { type: 'text' }
  }
})
const table = 'create table customers (id bigint primary key auto_increment, name text not null, email text not null)'

if (!(await skipWithoutPostgres(t)) && !(await skipWithoutMysql(t))) {
  const plane = await controlPlane()
  t.teardown(() => plane.close())
  const maria = await mysqlServer(2, [table])
  t.teardown(() => maria.stop())
  for (const slug of ['acme', 'globex'])
    await createTenant(plane.saasctl, { slug, plan: 'enterprise' }, { template: 'standard' }, { wait: true })
  const config = await routerConfig()
  const application = async (t: Pick<Tap, 'teardown'>, more: Partial<RouterOptions> = {}): Promise<FastifyInstance> => {
    const app = Fastify()
    t.teardown(() => app.close())
    const resolve = [fromSubdomain('app.example')]
    await app.register(router, { config, entities: [customers], resolve, pollMs: 100, ...more })
    app.get('/customers', { config: { tenant: 'host' } }, async request => {
      const db = await request.tenantDb()
      return { tenant: request.tenant.slug, customers: await db.getRepository(customers).find() }
    })
    app.post<{ Body: { name: string } }>('/customers', { config: { tenant: 'host' } }, request =>
      request.tenantTransaction(manager =>
        manager.getRepository(customers).save({ name: request.body.name, email: 'mail@example.com' })
      )
    )
    app.get('/slow', { config: { tenant: 'host' } }, async request => (await request.tenantDb()).query('do sleep(600)'))
    await app.ready()
    return app
  }

  await t.test('entities for PostgreSQL alone are no mistake while every tenant is on PostgreSQL', async t => {
    const documents = new EntitySchema<{ id: number }>({
      name: 'document',
      columns: { id: { type: 'jsonb', primary: true } }
    })
    const tenants = await createTenants({ config, entities: [documents] })
    await tenants.close()
    await placeInCatalog(plane, maria, ['initech', 'umbrella'], 'acme')
    await t.rejects(createTenants({ config, entities: [documents] }), { message: /"jsonb".*not supported by "mysql"/ })
  })

  await t.test('tenants of both engines are served by one application, each from its own database', async t => {
    const app = await application(t)
    const slugs = ['acme', 'initech', 'globex', 'umbrella']
    for (const slug of slugs) {
      const payload = { name: `customer of ${slug}` }
      const made = await app.inject({ method: 'POST', url: '/customers', payload, headers: hostOf(slug) })
      t.equal(made.statusCode, 200, made.body)
      t.equal(String(made.json().id), '1')
    }
    const answers = await Promise.all(Array.from({ length: 200 }, (_, index) => get(app, slugs[index % 4] as string)))
    const wrong = answers.filter((answer, index) => {
      const slug = slugs[index % 4]
      const { tenant, customers } = answer.json<{ tenant: string; customers: Customer[] }>()
      return tenant !== slug || customers.length !== 1 || customers[0]?.name !== `customer of ${slug}`
    })
    t.equal(wrong.length, 0)
    const own = await maria.running.root(
      maria.tenants.map(({ database }) => `select name from ${database}.customers`).join(' union all ')
    )
    t.same(own, [{ name: 'customer of initech' }, { name: 'customer of umbrella' }])
  })

  await t.test(
    'a suspended tenant is refused like one that does not exist, and is back when it is resumed',
    async t => {
      const app = await application(t)
      t.equal((await get(app, 'initech')).statusCode, 200)
      const unknown = await get(app, 'nobody')
      await become('initech', 'suspended')
      const refused = await eventually(
        () => get(app, 'initech'),
        ({ statusCode }) => statusCode !== 200
      )
      t.same([refused.statusCode, refused.body], [unknown.statusCode, unknown.body])
      t.equal((await get(app, 'umbrella')).statusCode, 200)
      await become('initech', 'active')
      t.equal(
        (
          await eventually(
            () => get(app, 'initech'),
            ({ statusCode }) => statusCode === 200
          )
        ).statusCode,
        200
      )
    }
  )

  await t.test(
    'a session that is ended under a request is answered with "again", and the next one is served',
    async t => {
      const app = await application(t)
      const slow = get(app, 'umbrella', '/slow')
      const [row] = await eventually(
        () => maria.running.root("select id from information_schema.processlist where info = 'do sleep(600)'"),
        rows => rows.length > 0
      )
      await maria.running.root(`kill ${row?.['id']}`)
      const answer = await slow
      t.equal(answer.statusCode, 503, answer.body)
      t.equal((await get(app, 'umbrella')).statusCode, 200)
    }
  )

  await t.test('a server that is down costs its own tenants an answer, and comes back by itself', async t => {
    const app = await application(t)
    t.equal((await get(app, 'initech')).statusCode, 200)
    await maria.running.restart()
    t.equal((await get(app, 'acme')).statusCode, 200)
    t.equal(
      (
        await eventually(
          () => get(app, 'initech'),
          ({ statusCode }) => statusCode === 200
        )
      ).statusCode,
      200
    )
  })

  await t.test('jobs use tenants of either engine by name', async t => {
    const tenants = await createTenants({ config, entities: [customers] })
    t.teardown(() => tenants.close())
    for (const [slug, sql, form] of [
      ['acme', 'select session_user as login', /^t\w{26}a$/],
      ['initech', 'select current_user() as login', /^t\w{26}a@%$/]
    ] as const) {
      const [row] = await tenants.use(slug, async session => (await session.db()).query(sql))
      t.match(row, { login: form })
    }
  })

  /** As an application gets in: its own login of the catalog, and the routing key alone. */
  async function routerConfig() {
    const { url } = await createCatalogLogin(plane.adminUrl, 'router', { name: 'tester', proof: 'asserted' })
    const routingKey = (await plane.saasctl.keys.read('routing')).toString('base64')
    return loadConfig({
      cwd: plane.config.home,
      env: { SAASCTL_CATALOG_URL: url, SAASCTL_ROUTING_KEY: routingKey, SAASCTL_HOME: '/nowhere' }
    })
  }

  async function become(slug: string, status: string) {
    await plane.catalogAsSuperuser(client =>
      client.query('update saasctl.tenant set status = $2, revision = revision + 1 where slug = $1', [slug, status])
    )
  }
}

function hostOf(slug: string) {
  return { host: `${slug}.app.example` }
}

function get(app: FastifyInstance, slug: string, url = '/customers') {
  return app.inject({ url, headers: hostOf(slug) })
}

type Tap = typeof t
