import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { eventually } from '../support/eventually.js'
import { routerWorld } from '../support/router-world.js'
import { skipWithoutPostgres } from '../support/servers.js'

if (!(await skipWithoutPostgres(t))) {
  const world = await routerWorld()
  t.teardown(() => world.close())
  await Promise.all([world.tenant('acme'), world.tenant('globex', { plan: 'large' })])

  /** Changes the plan of acme alone; what the plan says of the rest stays. */
  const plan = (part: object) =>
    world.change(
      `update saasctl.plan set definition = definition || $1::jsonb, revision = revision + 1 where name = 'small'`,
      [JSON.stringify(part)]
    )
  const limits = { connections: 4, statementTimeoutMs: 4000, idleInTransactionMs: null, tempFileMb: null }
  const open = { limits, requests: { perSecond: null, concurrent: null }, features: {}, quotas: {} }

  const ask = async (app: FastifyInstance, slug: string, url: string) => {
    const { statusCode: status, headers, body } = await app.inject({ url, headers: { 'x-tenant': slug } })
    return { status, retryAfter: headers['retry-after'], body: JSON.parse(body) as Record<string, unknown> }
  }
  const many = (app: FastifyInstance, slug: string, url: string, count: number) =>
    Promise.all(Array.from({ length: count }, () => ask(app, slug, url)))
  const served = (answers: Array<{ status: number }>) => answers.filter(({ status }) => status === 200).length

  const { app } = await world.app(t)

  await t.test(
    'requests a second: what is too much gets 429 and a time to come again, for this tenant alone',
    async t => {
      await plan({ ...open, requests: { perSecond: 5, concurrent: null } })
      await eventually(
        () => many(app, 'acme', '/plan', 10),
        answers => answers.some(({ status }) => status === 429)
      )
      const refused = (await many(app, 'acme', '/plan', 10)).filter(({ status }) => status !== 200)
      t.ok(refused.length > 0)
      for (const answer of refused)
        t.match(answer, { status: 429, retryAfter: /^[1-9]\d*$/, body: { code: 'TENANT_RATE' } })
      t.equal(served(await many(app, 'globex', '/plan', 50)), 50)
      await plan(open)
      await eventually(
        () => many(app, 'acme', '/plan', 20),
        answers => served(answers) === 20
      )
    }
  )

  await t.test('requests at once: one too many gets 503, for this tenant alone', async t => {
    await plan({ ...open, requests: { perSecond: null, concurrent: 3 } })
    await eventually(
      () => many(app, 'acme', '/sleep?seconds=0.1', 8),
      answers => served(answers) === 3
    )
    const refused = (await many(app, 'acme', '/sleep?seconds=0.1', 8)).filter(({ status }) => status !== 200)
    t.equal(refused.length, 5)
    for (const answer of refused)
      t.match(answer, { status: 503, retryAfter: /^[1-9]\d*$/, body: { code: 'TENANT_CROWDED' } })
    t.equal(served(await many(app, 'globex', '/sleep?seconds=0.05', 20)), 20)
    await plan(open)
    await eventually(
      () => many(app, 'acme', '/sleep?seconds=0.05', 8),
      answers => served(answers) === 8
    )
  })

  await t.test('connections: no more than the plan’s, whatever is asked', async t => {
    const [login] = await world.change<{ login: string }>(`select login from saasctl.route where slug = 'acme'`)
    await plan({ ...open, limits: { ...limits, connections: 2 } })
    await eventually(
      async () => {
        await many(app, 'acme', '/sleep?seconds=0.05', 6)
        return world.one.sessions(`usename = '${login?.login}'`)
      },
      count => count <= 2
    )
    t.equal(served(await many(app, 'acme', '/sleep?seconds=0.05', 6)), 6)
    await plan(open)
  })

  await t.test('a statement that takes longer than the plan allows is ended, and the tenant goes on', async t => {
    await plan({ ...open, limits: { ...limits, statementTimeoutMs: 500 } })
    await eventually(
      () => ask(app, 'acme', '/timeout'),
      ({ body }) => body['timeout'] === '500ms'
    )
    t.ok((await ask(app, 'acme', '/sleep?seconds=3')).status >= 500)
    t.equal((await ask(app, 'acme', '/where')).status, 200)
    t.equal((await ask(app, 'globex', '/sleep?seconds=0.7')).status, 200)
    await plan(open)
    await eventually(
      () => ask(app, 'acme', '/timeout'),
      ({ body }) => body['timeout'] === '4s'
    )
  })

  await t.test(
    'features and quotas: as the plan says from the next request, and a misspelt one is an error',
    async t => {
      await plan({ ...open, features: { sso: true }, quotas: { projects: 3, users: null } })
      await eventually(
        () => ask(app, 'acme', '/can?name=sso'),
        ({ body }) => body['can'] === true
      )
      t.strictSame((await ask(app, 'acme', '/limit?name=projects')).body, { limit: 3 })
      t.strictSame((await ask(app, 'acme', '/limit?name=users')).body, { limit: null })
      await plan({ ...open, features: { sso: false }, quotas: { projects: 5 } })
      await eventually(
        () => ask(app, 'acme', '/can?name=sso'),
        ({ body }) => body['can'] === false
      )
      t.strictSame((await ask(app, 'acme', '/limit?name=projects')).body, { limit: 5 })
      for (const url of ['/can?name=ssoo', '/can?name=constructor', '/limit?name=project', '/limit?name=__proto__'])
        t.not((await ask(app, 'acme', url)).status, 200, url)
    }
  )

  await t.test('a tenant on another plan is served by that one’s limits', async t => {
    await plan({ ...open, requests: { perSecond: 1, concurrent: null } })
    await eventually(
      () => many(app, 'acme', '/plan', 5),
      answers => served(answers) < 5
    )
    await world.change(`update saasctl.tenant set plan = 'large' where slug = 'acme'`)
    await eventually(
      () => many(app, 'acme', '/plan', 20),
      answers => served(answers) === 20
    )
    t.equal((await ask(app, 'acme', '/plan')).body['plan'], 'large')
  })
}
