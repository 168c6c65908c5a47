import Fastify, { type FastifyInstance } from 'fastify'
import t from 'tap'
import { fromHeader, type RouterOptions, router } from '../../src/router.js'
import { resumeTenant } from '../../src/tenants/resume.js'
import { suspendTenant } from '../../src/tenants/suspend.js'
import { eventually } from '../support/eventually.js'
import { logLines } from '../support/log-lines.js'
import { notes } from '../support/router-app.js'
import { routerWorld } from '../support/router-world.js'
import { asSuperuser, skipWithoutPostgres } from '../support/servers.js'

if (!(await skipWithoutPostgres(t))) {
  const world = await routerWorld()
  t.teardown(() => world.close())
  const { one, change } = world
  const { saasctl } = world.plane
  for (const slug of ['acme', 'globex']) await world.tenant(slug, { plan: 'small' })

  const routes = (app: FastifyInstance) => {
    app.get('/ok', async request => (await request.tenantDb()).query('select 1 as one'))
    app.get('/statement', async request => (await request.tenantDb()).query(`select 'canary-value'::int`))
    app.get('/row', request =>
      request.tenantTransaction(manager => manager.query(`insert into notes values (1, 'canary-value')`))
    )
    app.get('/runner', async request => {
      const runner = (await request.tenantDb()).createQueryRunner()
      return (await runner.connect()).query(`select 'canary-value'::int`)
    })
    app.get('/sent', async (request, reply) => {
      const error = await (await request.tenantDb()).query(`select 'canary-value'::int`).catch((error: Error) => error)
      return reply.send(error)
    })
    const preHandler = async (request: Parameters<typeof suspended>[0]) =>
      (await request.tenantDb()).query(`select 'canary-value'::int`)
    app.get('/hook', { preHandler }, async () => 'never')
    app.get('/killed', request =>
      request.tenantTransaction(async manager => {
        const [{ pid }] = await manager.query('select pg_backend_pid() as pid')
        await asSuperuser(one.server, client => client.query('select pg_terminate_backend($1)', [pid]))
        return manager.query('select $1::text', ['canary-value'])
      })
    )
    app.get('/mistake', async request => request.tenant.can('canary-feature'))
    app.get('/slow', async request => (await request.tenantDb()).query('select pg_sleep(1)'))
    const suspended = async (request: {
      tenant: { slug: string }
      tenantDb(): Promise<{ query(sql: string): unknown }>
    }) => {
      await suspendTenant(saasctl, request.tenant.slug, { wait: true })
      return (await request.tenantDb()).query('select 1')
    }
    app.get('/suspended', suspended)
    app.get('/own', async () => {
      throw Object.assign(new Error('the application’s own words'), { statusCode: 418 })
    })
  }

  /** An application that logs as Fastify does by itself, everything; and all that it has said, inside and outside. */
  const application = async (
    test: Pick<typeof t, 'teardown'>,
    more: Partial<RouterOptions> = {},
    also: (app: FastifyInstance) => void = () => {}
  ) => {
    const log = logLines()
    const app = Fastify({ logger: { level: 'trace', stream: log.stream } })
    test.teardown(() => app.close())
    const resolve = [fromHeader('x-tenant', { trusted: () => true })]
    await app.register(router, { config: world.config, entities: [notes], resolve, pollMs: 200, ...more })
    also(app)
    routes(app)
    await app.ready()
    const bodies: string[] = []
    const get = async (url: string, slug = 'acme') => {
      const answer = await app.inject({ url, headers: { 'x-tenant': slug, authorization: 'Bearer canary-token' } })
      bodies.push(answer.body)
      return answer
    }
    return { app, get, log, said: () => `${bodies.join('\n')}\n${log.text().replaceAll(`"pid":${process.pid},`, '')}` }
  }
  type Application = Awaited<ReturnType<typeof application>>

  /** Nothing that an attacker could use: neither where the tenant is, nor how to get in, nor what was asked of it. */
  const tellsNothing = async (test: Pick<typeof t, 'equal' | 'notOk' | 'notMatch'>, { app, said }: Application) => {
    const route = await app.tenants.find({ by: 'slug', value: 'acme' })
    const { login, password } = (await route?.credentials()) ?? {}
    const secrets = [password?.reveal(), login, route?.database, String(one.proxy.port), String(world.catalog.port)]
    test.equal(secrets.filter(secret => secret !== undefined).length, 5)
    for (const [index, secret = ''] of secrets.entries()) {
      // A port counts as a number of its own: times and ids have its digits now and then.
      const pattern = new RegExp(index < 3 ? secret : `(?<![\\w.])${secret}(?![\\w.])`)
      test.notMatch(said(), pattern, `${['password', 'login', 'database', 'port', 'catalog'][index]}`)
    }
    test.notMatch(said(), /canary|select |insert |postgres(ql)?:\/\/|\\n\s+at /i)
  }
  const failed = {
    statusCode: 500,
    code: 'FAILED',
    error: 'Internal Server Error',
    message: 'Internal server error.'
  }
  const unavailable = (answer: { statusCode: number; headers: object; body: string }) => ({
    status: answer.statusCode,
    comeAgain: Number((answer.headers as Record<string, string>)['retry-after']) >= 1,
    code: JSON.parse(answer.body).code
  })

  await t.test('H26: a statement that fails is a plain 500, however it comes out of the handler', async t => {
    const it = await application(t)
    for (const path of ['/statement', '/row', '/runner', '/sent', '/hook', '/mistake']) {
      const answer = await it.get(path)
      t.same({ status: answer.statusCode, body: answer.json() }, { status: 500, body: failed }, path)
    }
    const states = it.log.lines.map(({ sqlState }) => sqlState).filter(state => state !== undefined)
    t.same(states, ['22P02', '23505', '22P02', '22P02', '22P02'], 'whoever looks finds the SQLSTATE')
    t.ok(it.log.lines.some(({ code, tenantId }) => code === 'USAGE' && tenantId !== undefined))
    await tellsNothing(t, it)
    t.equal((await it.get('/ok')).statusCode, 200)
  })

  await t.test(
    'H26: a database that cannot be reached is 503 with the time to come again, for its tenant alone',
    async t => {
      const it = await application(t, { connectTimeoutMs: 1_000 })
      t.same(unavailable(await it.get('/killed')), { status: 503, comeAgain: true, code: 'SERVER_UNREACHABLE' })
      t.equal((await it.get('/ok')).statusCode, 200, 'one lost connection is one lost request')
      const route = await it.app.tenants.find({ by: 'slug', value: 'acme' })
      const asOwner = (sql: string) => asSuperuser(one.server, client => client.query(sql))
      await asOwner(`alter role ${route?.login} nologin`)
      t.teardown(() => asOwner(`alter role ${route?.login} login`))
      await asOwner(`select pg_terminate_backend(pid) from pg_stat_activity where usename = '${route?.login}'`)
      // The first may still meet a connection whose end nobody has heard of.
      const closed = await eventually(
        () => it.get('/ok'),
        ({ body }) => body.includes('TENANT_DOWN')
      )
      t.same(unavailable(closed), { status: 503, comeAgain: true, code: 'TENANT_DOWN' })
      t.equal((await it.get('/ok', 'globex')).statusCode, 200)
      t.ok(
        it.log.lines.some(({ code, cause }) => code === 'TENANT_DOWN' && cause === 'SERVER_DENIED'),
        'the log says why'
      )
      await asOwner(`alter role ${route?.login} login`)
      one.proxy.mode = 'closed'
      one.proxy.cut()
      t.teardown(() => {
        one.proxy.mode = 'pass'
      })
      for (const slug of ['acme', 'globex', 'acme', 'globex']) {
        const { status, comeAgain } = unavailable(await it.get('/ok', slug))
        t.same({ status, comeAgain }, { status: 503, comeAgain: true })
      }
      one.proxy.mode = 'pass'
      await eventually(
        () => it.get('/ok'),
        ({ statusCode }) => statusCode === 200
      )
      await tellsNothing(t, it)
    }
  )

  await t.test('H26: limits, a program that does not fit, and a catalog that is away tell nothing either', async t => {
    const it = await application(t, { acquireMs: 300 })
    // The connections that the plan allows are open, so that nobody waits for anything but a turn.
    await eventually(
      async () => {
        await Promise.all(Array.from({ length: 4 }, () => it.get('/slow')))
        return one.sessions()
      },
      count => count === 4
    )
    const crowd = await Promise.all(Array.from({ length: 8 }, () => it.get('/slow')))
    const turnedAway = crowd.filter(({ statusCode }) => statusCode !== 200).map(unavailable)
    t.same(
      turnedAway,
      Array.from({ length: 4 }, () => ({ status: 503, comeAgain: true, code: 'ROUTER_BUDGET' }))
    )
    const plans = (requests: string) =>
      change(`update saasctl.plan set revision = revision + 1,
        definition = jsonb_set(definition::jsonb, '{requests}', '${requests}')::json where name = 'small'`)
    t.teardown(() => plans('{"perSecond": null, "concurrent": null}'))
    await plans('{"perSecond": 1, "concurrent": null}')
    const flood = await eventually(
      () => it.get('/ok'),
      ({ statusCode }) => statusCode !== 200
    )
    t.same(unavailable(flood), { status: 429, comeAgain: true, code: 'TENANT_RATE' })
    await plans('{"perSecond": null, "concurrent": null}')

    const old = await application(t, { schema: { newest: '0001_grown' } })
    t.same(unavailable(await old.get('/ok')), { status: 503, comeAgain: true, code: 'TENANT_SCHEMA' })
    world.catalog.mode = 'closed'
    world.catalog.cut()
    t.teardown(() => {
      world.catalog.mode = 'pass'
    })
    const unknown = unavailable(await it.get('/ok', 'initech'))
    t.same([unknown.status, unknown.comeAgain], [503, true])
    t.match(unknown.code, /^CATALOG_/)
    world.catalog.mode = 'pass'
    for (const one of [it, old]) {
      await eventually(
        () => one.app.inject({ url: '/ok', headers: { 'x-tenant': 'nobody' } }),
        ({ statusCode }) => statusCode === 404
      )
      await tellsNothing(t, one)
    }
  })

  await t.test('H24: a tenant that is closed in the middle of a request looks as if it had never been', async t => {
    const it = await application(t)
    t.teardown(() => resumeTenant(saasctl, 'acme', { wait: true }))
    const meanwhile = await it.get('/suspended')
    const later = await it.get('/ok')
    const never = await it.get('/ok', 'nobody')
    t.equal(meanwhile.statusCode, 404)
    for (const answer of [meanwhile, later]) t.same([answer.statusCode, answer.body], [404, never.body])
  })

  await t.test('what is the application’s own stays its own', async t => {
    const plain = await application(t)
    t.match((await plain.get('/own')).json(), { statusCode: 418, message: 'the application’s own words' })
    const seen: string[] = []
    const handled = await application(t, {}, app =>
      app.setErrorHandler((error: Error, _request, reply) => {
        seen.push(error.name)
        return reply.code(409).send({ mine: true })
      })
    )
    for (const path of ['/own', '/statement', '/runner', '/mistake']) t.equal((await handled.get(path)).statusCode, 409)
    t.same(seen, ['Error', 'QueryFailedError', 'error', 'SaasctlError'])
    t.equal((await handled.get('/killed')).statusCode, 503, 'the tenant’s trouble is not its business')
    const all = await application(t, { safeErrors: false }, app =>
      app.setErrorHandler((error: Error & { code?: string }, _request, reply) => reply.code(520).send(error.code))
    )
    const killed = await all.get('/killed')
    t.same([killed.statusCode, killed.body], [520, 'SERVER_UNREACHABLE'], 'unless it wants that too')
  })
}
