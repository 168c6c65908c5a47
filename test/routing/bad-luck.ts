import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { eventually } from '../support/eventually.js'
import { routerWorld } from '../support/router-world.js'
import { asSuperuser, skipWithoutPostgres } from '../support/servers.js'

if (!(await skipWithoutPostgres(t))) {
  const world = await routerWorld()
  t.teardown(() => world.close())
  const { one, change } = world
  await Promise.all([
    ...['acme', 'globex', 'initech', 'hooli'].map(slug => world.tenant(slug)),
    world.tenant('umbrella', { server: 'two' })
  ])

  const ask = async (app: FastifyInstance, slug: string, url = '/where') => {
    const { statusCode, body } = await app.inject({ url, headers: { 'x-tenant': slug } })
    return { status: statusCode, body: JSON.parse(body) as Record<string, unknown> }
  }
  const status = async (app: FastifyInstance, slug: string, url?: string) => (await ask(app, slug, url)).status
  const becomes = (app: FastifyInstance, slug: string, wanted: number) =>
    eventually(
      () => status(app, slug),
      now => now === wanted
    )
  const databaseOf = async (slug: string) => {
    const [row] = await change<{ name: string; login: string }>(
      `select r.database as name, r.login from saasctl.route r where r.slug = $1`,
      [slug]
    )
    return row ?? { name: '', login: '' }
  }

  await t.test('a database of somebody else’s is never served; its tenant alone is told to come again', async t => {
    const { app, notices } = await world.app(t)
    const { name } = await databaseOf('acme')
    const says = (id: string) =>
      asSuperuser(one.server, client => client.query('update saasctl.identity set database_id = $1', [id]), name)
    const [own] = await change<{ id: string }>('select id from saasctl.database where name = $1', [name])
    await says('00000000-0000-7000-8000-000000000000')
    for (let asked = 0; asked < 5; asked += 1) t.equal(await status(app, 'acme'), 503)
    t.equal(await status(app, 'globex'), 200)
    t.match(
      notices.filter(({ event }) => event === 'tenant.wrong'),
      [{ tenant: 'acme', message: /is not its own; nobody is let in/ }]
    )
    t.notOk(notices.some(({ event }) => event === 'server.away'))
    await says(own?.id ?? '')
    await becomes(app, 'acme', 200)
  })

  await t.test('a tenant whose schema the program does not know is 503 for itself, until it is migrated', async t => {
    const { app } = await world.app(t, { schema: { oldest: '0002_grown', newest: '0002_grown' } })
    const at = (migration: string | null) =>
      change('update saasctl.database set migration = $1 where name = $2', [migration, name])
    const { name } = await databaseOf('acme')
    for (const migration of ['0001_grown', '0003_grown', null]) {
      await at(migration)
      await becomes(app, 'acme', 503)
      t.match((await ask(app, 'acme')).body, { code: 'TENANT_SCHEMA' })
      t.equal(await status(app, 'globex'), 200)
      await at('0002_grown')
      await becomes(app, 'acme', 200)
    }
  })

  await t.test('a login that the server refuses is its tenant’s trouble, not its neighbours’', async t => {
    const { app, notices } = await world.app(t)
    const { login } = await databaseOf('acme')
    const set = (how: string) => asSuperuser(one.server, client => client.query(`alter role ${login} ${how}`))
    await set('nologin')
    const answers = await Promise.all(Array.from({ length: 20 }, () => ask(app, 'acme')))
    for (const { status, body } of answers) t.match({ status, body }, { status: 503, body: { code: 'TENANT_DOWN' } })
    for (const slug of ['globex', 'initech', 'hooli']) t.equal(await status(app, slug), 200, slug)
    t.strictSame(notices, [])
    await set('login')
    await becomes(app, 'acme', 200)
  })

  await t.test('a slow server is served slowly, and the others as ever', async t => {
    const { app } = await world.app(t)
    one.proxy.latency = 100
    t.teardown(() => {
      one.proxy.latency = 0
    })
    const order: string[] = []
    const slow = status(app, 'acme').finally(() => order.push('acme'))
    t.equal(await status(app, 'umbrella').finally(() => order.push('umbrella')), 200)
    t.equal(await slow, 200)
    t.strictSame(order, ['umbrella', 'acme'])
  })

  await t.test(
    'a server that says nothing any more: 503 in time, no request hangs for ever, the others as ever',
    async t => {
      const { app, notices } = await world.app(t, { connectTimeoutMs: 1_500 })
      for (const slug of ['acme', 'globex', 'umbrella']) t.equal(await status(app, slug), 200)
      one.proxy.mode = 'silent'
      t.teardown(() => {
        one.proxy.mode = 'pass'
      })
      const onItsWay = status(app, 'acme')
      for (const slug of ['initech', 'hooli', 'initech', 'hooli']) t.equal(await status(app, slug), 503, slug)
      const down = await eventually(
        () => ask(app, 'initech'),
        // Or it is the one that tries.
        ({ body }) => body['code'] === 'TENANT_DOWN'
      )
      t.equal(down.status, 503)
      t.equal(await status(app, 'umbrella'), 200)
      t.strictSame(
        notices.map(({ event, server }) => ({ event, server })),
        [{ event: 'server.away', server: 'one' }]
      )
      t.ok((await onItsWay) >= 500, 'a statement that was under way ends with its own time')
      one.proxy.mode = 'pass'
      for (const slug of ['initech', 'acme', 'globex', 'hooli']) await becomes(app, slug, 200)
      t.equal(notices.at(-1)?.event, 'server.back')
    }
  )

  await t.test('no connection left: 503 for that tenant alone, and whoever waits is served in order', async t => {
    const { app } = await world.app(t, { acquireMs: 1_000 })
    const answers = Array.from({ length: 16 }, () => ask(app, 'acme', '/sleep?seconds=2.5'))
    t.equal(await status(app, 'globex'), 200)
    const settled = await Promise.all(answers)
    t.equal(settled.filter(({ status }) => status === 200).length, 4)
    t.match(
      settled.filter(({ status }) => status !== 200),
      Array.from({ length: 12 }, () => ({ status: 503, body: { code: 'ROUTER_BUDGET' } }))
    )
    await app.close()
    const { app: patient } = await world.app(t)
    const begun: number[] = []
    const finish: Array<() => void> = []
    patient.get<{ Params: { index: string } }>('/turn/:index', request =>
      request.tenantTransaction(async manager => {
        await manager.query('select 1')
        begun.push(Number(request.params.index))
        await new Promise<void>(resolve => finish.push(resolve))
        return {}
      })
    )
    // Known to the router, so that the requests come to the database in the order in which they were sent.
    t.equal(await status(patient, 'acme'), 200)
    const turns = Array.from({ length: 12 }, (_, index) => status(patient, 'acme', `/turn/${index}`))
    for (let first = 0; first < 12; first += 1) {
      await eventually(
        async () => begun.length,
        count => count === Math.min(12, first + 4)
      )
      finish[first]?.()
    }
    t.strictSame(new Set(await Promise.all(turns)), new Set([200]))
    t.strictSame(begun.slice(0, 4).sort(), [0, 1, 2, 3], 'the first four at once')
    t.strictSame(begun.slice(4), [4, 5, 6, 7, 8, 9, 10, 11], 'and each of the others when it was its turn')
  })

  await t.test('a tenant that is suspended while its first request looks for a connection is not served', async t => {
    const { app } = await world.app(t)
    t.equal(await status(app, 'umbrella', '/plan'), 200)
    t.teardown(() => {
      world.catalog.latency = 0
    })
    const set = `update saasctl.tenant set status = $1 where slug = 'umbrella'`
    await world.plane.catalogAsSuperuser(async client => {
      await client.query('select 1')
      // The router asks the catalog for its share of the server now, and hears of the suspension before the answer.
      world.catalog.latency = 500
      const request = status(app, 'umbrella')
      await client.query(set, ['suspended'])
      t.equal(await request, 404)
    })
    world.catalog.latency = 0
    await change(set, ['active'])
    await becomes(app, 'umbrella', 200)
  })

  await t.test(
    'two routers share what a tenant may have: neither starves beside the other’s idle connections',
    async t => {
      const { app: first } = await world.app(t)
      const { app: second } = await world.app(t)
      const wave = (app: FastifyInstance) =>
        Promise.all(Array.from({ length: 8 }, () => status(app, 'acme', '/where?seconds=0.05')))
      const all = Array.from({ length: 8 }, () => 200)
      t.strictSame(await wave(first), all)
      t.equal(await one.sessions(), 4, 'all that its plan allows')
      t.strictSame(await wave(second), all)
      t.strictSame(await Promise.all([wave(first), wave(second)]), [all, all])
      t.ok((await one.sessions()) <= 4)
    }
  )
}
