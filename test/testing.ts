import { AsyncLocalStorage } from 'node:async_hooks'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import Fastify, { type FastifyInstance, type FastifyRequest } from 'fastify'
import t from 'tap'
import type { DataSource } from 'typeorm'
import { packageFolder } from '../src/config.js'
import { embedded } from '../src/embedded/embedded.js'
import { fromHeader, router } from '../src/router.js'
import { suspendTenant } from '../src/tenants/suspend.js'
import { assertNoCrossing, testTenants } from '../src/testing.js'
import { eventually } from './support/eventually.js'
import { customers } from './support/routed-app.js'
import { scratch, skipWithoutPostgres } from './support/servers.js'

const path = process.env['PATH'] ?? ''

const homesOf = async (pid: number | undefined) =>
  (await readdir(tmpdir()))
    .filter(name => new RegExp(`^saasctl-testing-\\w*-${pid}-`).test(name))
    .map(name => join(tmpdir(), name))

/** A test in a process of its own; it ends without closing, or stays until it is killed. */
const careless = (env: { stay?: string; keep?: string }) =>
  spawn(process.execPath, [fileURLToPath(new URL('support/careless-test.js', import.meta.url))], {
    cwd: packageFolder,
    env: { PATH: path, ...env },
    stdio: ['ignore', 'pipe', 'inherit']
  })

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
      list?(request: FastifyRequest, read: () => Promise<unknown>): Promise<unknown>
    } = {}
  ): Promise<FastifyInstance> => {
    const app = Fastify()
    test.teardown(() => app.close())
    const resolve = [fromHeader('x-tenant', { trusted: () => true })]
    await app.register(router, { config: tenants.config, entities: [customers], resolve })
    const dataSource = mistake.dataSource ?? (own => own())
    const list = mistake.list ?? ((_request, read) => read())
    app.post<{ Body: { name: string } }>('/customers', async request => {
      const db = await dataSource(() => request.tenantDb())
      return db.getRepository(customers).save({ name: request.body.name, email: 'a@b.example' })
    })
    app.get('/customers', request =>
      list(request, async () => (await dataSource(() => request.tenantDb())).getRepository(customers).find())
    )
    return app
  }
  const prove = (app: FastifyInstance, concurrency = 32) =>
    assertNoCrossing({
      tenants: ['acme', 'globex'],
      requests: 300,
      concurrency,
      write: (tenant, name) =>
        app.inject({ method: 'POST', url: '/customers', headers: { 'x-tenant': tenant }, payload: { name } }),
      read: async tenant => (await app.inject({ url: '/customers', headers: { 'x-tenant': tenant } })).body
    })

  await t.test('an application on the router passes the test for crossings', async t => {
    t.same(await prove(await application(t)), { requests: 304 })
  })

  await t.test('so does one that is asked by its address, with fetch', async t => {
    const app = await application(t)
    const url = `${await app.listen({ port: 0, host: '127.0.0.1' })}/customers`
    const asked = await assertNoCrossing({
      tenants: tenants.slugs,
      requests: 60,
      write: (tenant, name) =>
        fetch(url, {
          method: 'POST',
          headers: { 'x-tenant': tenant, 'content-type': 'application/json' },
          body: JSON.stringify({ name })
        }),
      read: async tenant => (await fetch(url, { headers: { 'x-tenant': tenant } })).text()
    })
    t.same(asked, { requests: 64 })
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
    await t.rejects(prove(app), {
      code: 'CHECK_FOUND',
      message: 'The application answered 500 when it was to store a mark as globex.'
    })
  })

  await t.test('nor does one that opens a tenant’s DataSource when it starts, and works with that', async t => {
    let opened: Promise<DataSource> | undefined
    const app = await application(t, { dataSource: async () => opened as Promise<DataSource> })
    const closed = new Promise<void>(resolve => t.teardown(resolve))
    opened = new Promise(resolve => {
      void app.tenants.use('acme', async session => {
        resolve(await session.db())
        await closed
      })
    })
    await t.rejects(prove(app), {
      code: 'CHECK_FOUND',
      message: 'Request 1 was asked as acme and answered with data of globex.',
      hint: /two requests share/
    })
  })

  await t.test('one whose cache knows no tenants is found, and with tenant.key it is not', async t => {
    const cache = new Map<string, unknown>()
    const cached = (keyed: boolean) => async (request: FastifyRequest, read: () => Promise<unknown>) => {
      const name = keyed ? request.tenant.key('customers') : 'customers'
      if (!cache.has(name)) cache.set(name, await read())
      return cache.get(name)
    }
    await t.rejects(prove(await application(t, { list: cached(false) })), {
      code: 'CHECK_FOUND',
      message: /asked as (acme|globex) and answered with data of (acme|globex)|did not show/
    })
    cache.clear()
    t.same(await prove(await application(t, { list: cached(true) })), { requests: 304 })
  })

  await t.test(
    'one that picks its tenant from AsyncLocalStorage in a callback is found, which no test one by one does',
    async t => {
      const current = new AsyncLocalStorage<DataSource>()
      const queue: Array<() => void> = []
      let busy = false
      // One at a time. Whoever ends calls the next one's callback, in his own context: as pools do.
      const enter = (callback: () => void) => {
        if (busy) queue.push(callback)
        else {
          busy = true
          callback()
        }
      }
      const leave = () => {
        const next = queue.shift()
        if (next) next()
        else busy = false
      }
      const list = async (request: FastifyRequest) =>
        current.run(await request.tenantDb(), async () => {
          const rows = await new Promise((resolve, reject) => {
            enter(() => current.getStore()?.getRepository(customers).find().then(resolve, reject).finally(leave))
          })
          // The request goes on a little: its connection is good for the next one's mistake.
          await sleep(2)
          return rows
        })
      t.same(await prove(await application(t, { list }), 1), { requests: 304 })
      await t.rejects(prove(await application(t, { list })), {
        code: 'CHECK_FOUND',
        message: /^Request \d+ was asked as (acme|globex) and /
      })
    }
  )

  await t.test('tests may do to a tenant what operators do', async t => {
    const app = await application(t)
    const slug = await tenants.create()
    const ask = () => app.inject({ url: '/customers', headers: { 'x-tenant': slug } })
    t.equal((await ask()).statusCode, 200)
    await suspendTenant(tenants.saasctl, slug, { wait: true })
    t.equal((await eventually(ask, ({ statusCode }) => statusCode !== 200)).statusCode, 404)
  })

  await t.test('what is stored at the wrong tenant is found, with the very last write too', async t => {
    const store = new Map([
      ['acme', ''],
      ['globex', '']
    ])
    let writes = 0
    const asked = assertNoCrossing({
      tenants: ['acme', 'globex'],
      requests: 25,
      concurrency: 1,
      write: async (tenant, mark) => {
        writes += 1
        const into = writes < 3 ? tenant : tenant === 'acme' ? 'globex' : 'acme'
        store.set(into, `${store.get(into)} ${mark}`)
      },
      read: async tenant => store.get(tenant) ?? ''
    })
    await t.rejects(asked, {
      code: 'CHECK_FOUND',
      message: /^Request 2[89] was asked as \w+ and answered with data of \w+\.$/
    })
    t.equal(writes, 3)
  })

  await t.test('an application that stores nothing is told from one that loses something', async t => {
    const refusing = { tenants: ['acme', 'globex'], write: async () => ({ statusCode: 422 }), read: async () => '' }
    await t.rejects(assertNoCrossing(refusing), {
      code: 'CHECK_FOUND',
      message: 'The application answered 422 when it was to store a mark as acme.'
    })
    await t.rejects(assertNoCrossing({ ...refusing, write: async () => {} }), {
      code: 'CHECK_FOUND',
      message: 'Request 1 was asked as acme and did not show what acme has stored: "".'
    })
  })

  await t.test('after the first crossing nothing is under way any more', async t => {
    let asking = 0
    let said = ''
    const asked = assertNoCrossing({
      tenants: ['acme', 'globex'],
      write: async (_tenant, mark) => {
        said += ` ${mark}`
      },
      read: async tenant => {
        asking += 1
        await sleep(1)
        asking -= 1
        const [acme = '', globex = '', another] = said.trim().split(' ')
        return another ? said : tenant === 'acme' ? acme : globex
      }
    })
    await t.rejects(asked, { code: 'CHECK_FOUND' })
    t.equal(asking, 0)
  })

  await t.test('one tenant alone proves nothing', async t => {
    const one = { tenants: ['acme', 'acme'], write: async () => {}, read: async () => '' }
    await t.rejects(assertNoCrossing(one), { code: 'USAGE' })
  })

  await t.test('a test process that ends without closing leaves neither server nor folder', async t => {
    const child = careless({})
    const [said] = (await once(child.stdout, 'data')) as [Buffer]
    t.match(String(said), /^test-\w{12}$/m)
    const [code] = await once(child, 'exit')
    t.equal(code, 3)
    t.strictSame(await homesOf(child.pid), [])
  })

  await t.test('what a killed test leaves is removed by the next, its server too', async t => {
    const child = careless({ stay: 'yes' })
    await once(child.stdout, 'data')
    const [folder = ''] = await homesOf(child.pid)
    child.kill('SIGKILL')
    await once(child, 'exit')
    const server = await embedded(folder, { path }).status()
    t.equal(server.state, 'running', 'it outlives the test')
    const before = await homesOf(process.pid)
    await t.rejects(testTenants({ project: packageFolder, template: 'standard', plan: 'none' }), {
      code: 'PLAN_NOT_FOUND'
    })
    t.strictSame(await homesOf(process.pid), before, 'which leaves nothing either when it fails')
    t.strictSame(await homesOf(child.pid), [])
    if (server.state === 'running') t.throws(() => process.kill(server.server.pid, 0), { code: 'ESRCH' })
  })

  await t.test('a kept server is used again, under the same names, whatever a killed test has left in it', async t => {
    const folder = await mkdtemp(join(scratch, 'saasctl-kept.'))
    t.teardown(async () => {
      await embedded(folder, { path }).reset()
      await rm(folder, { recursive: true, force: true })
    })
    const wish = { project: packageFolder, template: 'standard', tenants: ['acme'], keepIn: folder }
    const child = careless({ stay: 'yes', keep: folder })
    await once(child.stdout, 'data')
    await t.rejects(testTenants(wish), { code: 'TENANT_EXISTS' }, 'a test that runs keeps its tenants')
    child.kill('SIGKILL')
    await once(child, 'exit')
    for (const run of ['first', 'second']) {
      const kept = await testTenants(wish)
      t.strictSame(kept.slugs, ['acme'], run)
      await kept.close()
    }
  })

  await t.test('which template is meant must be clear, before anything is started', async t => {
    await t.rejects(testTenants({ project: packageFolder }), {
      code: 'USAGE',
      message: /which template is meant: .*standard/
    })
  })
}
