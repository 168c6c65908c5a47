import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { cachingApp } from '../../examples/cache/app.js'
import { openRedis } from '../../examples/cache/redis.js'
import { assertNoCrossing } from '../../src/testing.js'
import { becomes } from '../support/becomes.js'
import { controlPlane } from '../support/control-plane.js'
import { makeTenants, routerConfig } from '../support/routed-app.js'
import { scratch, skipWithoutPostgres } from '../support/servers.js'

const here = spawnSync('redis-server', ['--version']).status === 0
if (!here) t.comment('REDIS NOT FOUND: the cache example was not run. Install Debian’s redis-server.')
if (!here) t.plan(0, 'no redis-server on this machine')
else if (!(await skipWithoutPostgres(t))) {
  const folder = await mkdtemp(join(scratch, 'saasctl-redis.'))
  const socket = join(folder, 'redis.sock')
  const url = `unix://${socket}`
  let server: ChildProcess | undefined
  /** On a socket and no port: nobody else's server is met by mistake. */
  const startRedis = async () => {
    const arguments_ = ['--port', '0', '--unixsocket', socket, '--dir', folder, '--save', '', '--appendonly', 'no']
    server = spawn('redis-server', arguments_, { stdio: ['ignore', 'pipe', 'ignore'] })
    if (server.stdout) for await (const said of server.stdout) if (/ready to accept/i.test(String(said))) return
  }
  const stopRedis = async () => {
    if (!server || server.exitCode !== null || server.signalCode !== null) return
    server.kill('SIGKILL')
    await once(server, 'exit')
  }
  t.teardown(async () => {
    await stopRedis()
    await rm(folder, { recursive: true, force: true })
  })
  await startRedis()
  const plane = await controlPlane()
  t.teardown(() => plane.close())
  await makeTenants(plane, ['acme', 'globex'])
  const config = await routerConfig(plane)
  const redis = await openRedis(url, () => {})
  t.teardown(() => redis.destroy())
  const application = async (test: Pick<typeof t, 'teardown'>) => {
    const app = await cachingApp(url, { config })
    test.teardown(() => app.close())
    return app
  }
  const hostOf = (slug: string) => ({ host: `${slug}.app.example` })
  const names = async (app: FastifyInstance, slug: string) => {
    const answer = await app.inject({ url: '/customers', headers: hostOf(slug) })
    return (answer.json() as Array<{ name: string }>).map(({ name }) => name).join()
  }
  const post = (app: FastifyInstance, slug: string, path: string, payload: object) =>
    app.inject({ method: 'POST', url: path, headers: hostOf(slug), payload })
  /** What no application sees: the row is there, and no cache was told. */
  const behind = async (app: FastifyInstance, slug: string, name: string) => {
    await app.tenants.use(slug, async session => {
      const db = await session.db()
      await db.query('insert into customers (name, email) values ($1, $2)', [name, `${name}@behind.example`])
    })
  }

  await t.test('two processes read one cache, each tenant its own part of it', async t => {
    const [one, other] = [await application(t), await application(t)]
    t.equal((await post(one, 'acme', '/customers', { name: 'ada', email: 'ada@acme.example' })).statusCode, 201)
    t.equal(await names(one, 'acme'), 'ada')
    t.equal(await names(other, 'globex'), '')
    await behind(one, 'acme', 'unseen')
    t.equal(await names(other, 'acme'), 'ada', 'it comes from Redis')
    const keys = await redis.keys('*')
    t.equal(keys.length, 2)
    for (const key of keys) t.match(key, /^t:[0-9a-f]{32}:[0-9a-f]{32}:1:customers$/)
    await post(other, 'acme', '/customers', { name: 'bob', email: 'bob@acme.example' })
    t.equal(await names(one, 'acme'), 'ada,unseen,bob', 'the entry that was out of date is gone')
  })

  await t.test('a tenant’s whole cache is voided in every process, and nobody else’s', async t => {
    const [one, other] = [await application(t), await application(t)]
    const before = await names(one, 'acme')
    await names(other, 'globex')
    await behind(one, 'globex', 'unseen')
    const imported = await post(one, 'acme', '/customers/import', [{ name: 'cyd', email: 'cyd@acme.example' }])
    t.equal(imported.statusCode, 204)
    t.equal(await names(one, 'acme'), `${before},cyd`, 'at once where it was done')
    t.ok(await becomes(async () => (await names(other, 'acme')) === `${before},cyd`), 'and elsewhere')
    t.equal(await names(one, 'globex'), '', 'the neighbour’s is as good as before')
  })

  await t.test('no request ever gets another tenant’s entry', async t => {
    const app = await application(t)
    const asked = await assertNoCrossing({
      tenants: ['acme', 'globex'],
      requests: 200,
      write: (tenant, name) => post(app, tenant, '/customers', { name, email: `${name}@acme.example` }),
      read: tenant => names(app, tenant)
    })
    t.same(asked, { requests: 204 })
  })

  await t.test(
    'while Redis is away the application answers from the database, and afterwards from Redis again',
    async t => {
      const app = await application(t)
      await stopRedis()
      // Read from the database: a list in Redis may be as old as the one that was read beside the last write.
      const before = await names(app, 'acme')
      await behind(app, 'acme', 'meanwhile')
      t.equal(await names(app, 'acme'), `${before},meanwhile`)
      t.equal((await post(app, 'acme', '/customers', { name: 'dot', email: 'dot@acme.example' })).statusCode, 201)
      await startRedis()
      t.ok(
        await becomes(async () => {
          await names(app, 'acme')
          return redis.isReady && (await redis.keys('*').catch(() => [])).length === 1
        })
      )
      await behind(app, 'acme', 'later')
      t.equal(await names(app, 'acme'), `${before},meanwhile,dot`)
    }
  )
}
