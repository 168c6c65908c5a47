import { once } from 'node:events'
import { ServerResponse } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import t from 'tap'
import { controlPlane } from '../support/control-plane.js'
import { eventually } from '../support/eventually.js'
import { makeTenants, routedApp, routerConfig } from '../support/routed-app.js'
import { asSuperuser, skipWithoutPostgres } from '../support/servers.js'

// From a request's first word to its end, in all the ways that it may end: the tenant is its own all the while, and is given
// back. A plan that allows one request at a time shows each that was not.
if (!(await skipWithoutPostgres(t))) {
  const plane = await controlPlane()
  t.teardown(() => plane.close())
  await makeTenants(plane, ['acme', 'globex'])
  const config = await routerConfig(plane)
  await plane.catalogAsSuperuser(client =>
    client.query(
      `update saasctl.plan set revision = revision + 1,
        definition = jsonb_set(definition::jsonb, '{requests}', '{"perSecond": null, "concurrent": 1}')::json`
    )
  )
  const byHost = { config: { tenant: 'host' } }
  const headers = { host: 'acme.app.example' }
  const ok = (app: FastifyInstance) => app.get('/ok', byHost, async request => ({ tenant: request.tenant.slug }))
  const isFree = async (app: FastifyInstance, slug = 'acme') =>
    (await app.inject({ url: '/ok', headers: { host: `${slug}.app.example` } })).statusCode === 200
  const becomesFree = (app: FastifyInstance) =>
    eventually(
      () => isFree(app),
      free => free
    )
  const running = () =>
    asSuperuser(plane.server, async client => {
      const { rows } = await client.query(
        `select from pg_stat_activity where query = 'select pg_sleep(60)' and state = 'active'`
      )
      return rows.length
    })
  const open = async (test: Pick<typeof t, 'teardown'>, app: FastifyInstance, ...lines: string[]): Promise<Socket> => {
    const { port } = app.server.address() as AddressInfo
    const socket = connect(port, '127.0.0.1')
    socket.on('error', () => {})
    test.teardown(() => socket.destroy())
    socket.write(`${lines.join('\r\n')}\r\n\r\n`)
    return socket
  }

  await t.test('a client that goes away takes its statement along', async t => {
    const app = await routedApp(t, {
      config,
      routes: app => {
        ok(app)
        app.get('/sleep', byHost, async request => (await request.tenantDb()).query('select pg_sleep(60)'))
      }
    })
    await app.listen({ port: 0, host: '127.0.0.1' })
    const socket = await open(t, app, 'GET /sleep HTTP/1.1', 'Host: acme.app.example')
    await eventually(running, count => count === 1)
    t.notOk(await isFree(app), 'the plan allows one at a time')
    t.ok(await isFree(app, 'globex'))
    socket.destroy()
    await eventually(running, count => count === 0)
    await becomesFree(app)
  })

  await t.test('an upgraded request keeps its tenant as long as its socket, and no longer', async t => {
    let statement: Promise<string> | undefined
    const app = await routedApp(t, {
      config,
      router: { metrics: true },
      routes: app => {
        ok(app)
        // As @fastify/websocket does it: routed with a response of its own, which is then hijacked and never ends.
        app.server.on('upgrade', (raw, socket) => {
          const response = new ServerResponse(raw)
          response.assignSocket(socket as Socket)
          socket.on('error', () => {}).on('end', () => socket.destroy())
          app.routing(raw, response)
        })
        app.get('/socket', byHost, (request, reply) => {
          reply.hijack()
          request.raw.socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: words\r\n\r\n')
          request.raw.socket.once('data', () => {
            statement = request
              .tenantDb()
              .then(db => db.query('select pg_sleep(60)'))
              .catch(error => error.code)
            void request.tenantDb().then(() => request.raw.socket.write(request.tenant.slug))
          })
        })
      }
    })
    await app.listen({ port: 0, host: '127.0.0.1' })
    const upgrade = ['Host: acme.app.example', 'Connection: Upgrade', 'Upgrade: words']
    const socket = await open(t, app, 'GET /socket HTTP/1.1', ...upgrade)
    t.match(String((await once(socket, 'data'))[0]), /^HTTP\/1.1 101/)
    socket.write('who')
    t.equal(String((await once(socket, 'data'))[0]), 'acme')
    await eventually(running, count => count === 1)
    t.notOk(await isFree(app))
    socket.destroy()
    await eventually(running, count => count === 0)
    await becomesFree(app)
    t.equal(await statement, 'LEASE_ENDED')
    t.match((await app.tenants.metrics()).text, /requests_total\{tenant="acme",status="closed"\} 1/)
    const foreign = await open(t, app, 'GET /socket HTTP/1.1', 'Host: nobody.app.example', ...upgrade.slice(1))
    t.match(String((await once(foreign, 'data'))[0]), /^HTTP\/1.1 404/, 'and nobody is upgraded without a tenant')
  })

  await t.test('whatever fails around the handler, the tenant is given back', async t => {
    const broken = () => {
      throw new Error('broken')
    }
    const app = await routedApp(t, {
      config,
      routes: app => {
        ok(app)
        app.get('/handler', byHost, broken)
        app.get('/parsing', { ...byHost, preParsing: broken }, () => 'never')
        app.get('/validation', { ...byHost, preValidation: broken }, () => 'never')
        app.get('/before', { ...byHost, preHandler: broken }, () => 'never')
        app.get('/serialization', { ...byHost, preSerialization: broken }, () => ({}))
        app.get('/send', { ...byHost, onSend: broken }, () => 'never')
        app.get('/door', { ...byHost, onRequest: broken }, () => 'never')
        app.get<{ Querystring: { n: number } }>(
          '/schema',
          { ...byHost, schema: { querystring: { type: 'object', required: ['n'] } } },
          () => 'never'
        )
        app.post('/body', byHost, () => 'never')
      }
    })
    for (const url of [
      '/handler',
      '/parsing',
      '/validation',
      '/before',
      '/serialization',
      '/send',
      '/door',
      '/schema'
    ]) {
      t.ok((await app.inject({ url, headers })).statusCode >= 400, url)
      t.ok(await isFree(app), `${url} gave it back`)
    }
    const json = { ...headers, 'content-type': 'application/json' }
    t.equal((await app.inject({ method: 'POST', url: '/body', headers: json, payload: '{' })).statusCode, 400)
    t.ok(await isFree(app))
  })

  await t.test('after its answer a request still knows whose it was, and has no database any more', async t => {
    const told: Array<Promise<unknown>> = []
    const slugs: string[] = []
    const app = await routedApp(t, {
      config,
      routes: app => {
        app.addHook('onResponse', async request => {
          slugs.push(request.tenant.slug)
          told.push(request.tenantDb().catch(error => error.code))
          told.push(request.tenantTransaction(async () => 'done').catch(error => [error.code, error.data]))
        })
        ok(app)
      }
    })
    t.ok(await isFree(app))
    await eventually(
      async () => slugs.length,
      count => count === 1
    )
    t.same(slugs, ['acme'])
    t.same(await Promise.all(told), ['LEASE_ENDED', ['LEASE_ENDED', { where: 'GET /ok' }]])
  })

  await t.test('routes that are for no tenant have none, and say so', async t => {
    const said: unknown[] = []
    const ask = async (request: FastifyRequest) => {
      said.push(await request.tenantDb().catch(error => error.message))
      said.push(await request.tenantTransaction(async () => {}).catch(error => error.message))
      return request.tenant.slug
    }
    const app = await routedApp(t, {
      config,
      routes: app => {
        ok(app)
        app.get('/none', { config: { tenant: false } }, ask)
        app.setNotFoundHandler(ask)
        app.addHook('onRequest', async request => {
          if (request.url === '/early') await ask(request)
        })
        app.get('/early', byHost, () => 'never')
      }
    })
    for (const url of ['/none', '/nowhere', '/early']) {
      const answer = await app.inject({ url, headers })
      t.equal(answer.statusCode, 500, `${url} is the application’s mistake`)
      t.notMatch(answer.body, /acme/)
    }
    t.same(new Set(said), new Set(['This request is for no tenant.']))
    t.equal(said.length, 6)
    t.ok(await isFree(app))
  })

  await t.test('requests of one connection share nothing, and neither do methods of one route', async t => {
    const app = await routedApp(t, {
      config,
      routes: app => {
        ok(app)
        app.options('/ok', { config: { tenant: false } }, () => ({ options: true }))
        app.route({
          method: ['PUT', 'DELETE'],
          url: '/many',
          ...byHost,
          handler: request => ({ [request.method]: request.tenant.slug })
        })
      }
    })
    await app.listen({ port: 0, host: '127.0.0.1' })
    const ask = (method: string, url: string, slug: string) =>
      `${method} ${url} HTTP/1.1\r\nHost: ${slug}.app.example\r\n\r\n`
    const asked = [
      ask('GET', '/ok', 'acme'),
      ask('HEAD', '/ok', 'globex'),
      ask('HEAD', '/ok', 'nobody'),
      ask('OPTIONS', '/ok', 'nobody'),
      ask('PUT', '/many', 'acme'),
      ask('DELETE', '/many', 'globex'),
      ask('DELETE', '/many', 'nobody'),
      ask('GET', '/ok', 'globex')
    ]
    const [first = '', ...others] = asked
    const socket = await open(t, app, first.trim())
    const answers = [String((await once(socket, 'data'))[0])]
    for (const question of others) {
      socket.write(question)
      answers.push(String((await once(socket, 'data'))[0]))
    }
    t.same(
      answers.map(answer => `${answer.slice(9, 12)} ${/acme|globex|options|Not Found\."/.exec(answer)?.[0] ?? ''}`),
      ['200 acme', '200 ', '404 ', '200 options', '200 acme', '200 globex', '404 ', '200 globex']
    )
  })
}
