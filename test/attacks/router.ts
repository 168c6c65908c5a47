import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { type AddressInfo, connect } from 'node:net'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { exportSPKI, generateKeyPair, SignJWT } from 'jose'
import t from 'tap'
import { fromHeader, fromJwt, fromPath, fromSubdomain } from '../../src/router.js'
import { controlPlane } from '../support/control-plane.js'
import { eventually } from '../support/eventually.js'
import { customers, makeTenants, routedApp, routerConfig } from '../support/routed-app.js'
import { asSuperuser, skipWithoutPostgres } from '../support/servers.js'

// SECURITY's H-rows that need a whole application; those of the sources alone are in test/routing/resolve.ts.
if (!(await skipWithoutPostgres(t))) {
  const plane = await controlPlane({ config: { log_statement: 'all', log_line_prefix: '[%d] ' } })
  t.teardown(() => plane.close())
  await makeTenants(plane, ['acme', 'globex'])
  const config = await routerConfig(plane)
  const { privateKey, publicKey } = await generateKeyPair('ES256')
  const [iss, aud] = ['https://id.example', 'https://api.example']
  const token = (tid: string) =>
    new SignJWT({ tid, sub: `user of ${tid}` })
      .setProtectedHeader({ alg: 'ES256' })
      .setIssuer(iss)
      .setAudience(aud)
      .setIssuedAt()
      .setExpirationTime('5m')
      .sign(privateKey)
  const [tokenOfAcme, tokenOfGlobex] = await Promise.all([token('acme'), token('globex')])
  const resolve = [
    fromJwt('tid', { issuers: [{ iss, aud, algorithms: ['ES256'], key: await exportSPKI(publicKey) }] }),
    fromSubdomain('app.example'),
    fromPath('/t/:tenant'),
    fromHeader('x-tenant-id', { trusted: ({ request }) => request.headers['x-caller'] === 'trusted' })
  ]

  const routes = (app: FastifyInstance) => {
    app.get('/who', { config: { tenant: ['jwt', 'host'] } }, async request => {
      const [row] = await (await request.tenantDb()).query('select current_database() as database')
      return { tenant: request.tenant.slug, ...row }
    })
    app.get('/t/:tenant/who', { config: { tenant: ['jwt', 'path'] } }, request => ({ tenant: request.tenant.slug }))
    app.get('/public', { config: { tenant: 'host' } }, async request => ({ tenant: request.tenant.slug }))
    const everywhere = async (request: FastifyRequest) => {
      const [row] = await (await request.tenantDb()).query('select current_database() as database')
      return { tenant: request.tenant.slug, ...row }
    }
    app.get('/any', everywhere)
    app.get('/t/:tenant/any', everywhere)
    app.get('/sleep', { config: { tenant: 'host' } }, async request =>
      (await request.tenantDb()).query('select pg_sleep(60)')
    )
    app.get('/none', { config: { tenant: false } }, request => ({ tenant: request.tenant.slug }))
  }
  const application = (test: Pick<typeof t, 'teardown'>) => routedApp(test, { config, router: { resolve }, routes })
  const databaseOf = async (slug: string) => {
    const [row] = await plane.saasctl.catalog.query<{ name: string }>(
      `select d.name from saasctl.tenant t join saasctl.placement p on p.tenant_id = t.id
       join saasctl.database d on d.id = p.database_id where t.slug = $1`,
      [slug]
    )
    return row?.name ?? ''
  }
  /** Statements that the server has run in the tenant's database, by its own log. */
  const statementsIn = async (slug: string) => {
    const name = await databaseOf(slug)
    const log = await readFile(plane.server.logFile, 'utf8')
    return log.split('\n').filter(line => line.startsWith(`[${name}]`)).length
  }

  await t.test(
    'H1: a token of one tenant on another’s host, path or both costs no statement in either database',
    async t => {
      const app = await application(t)
      const before = [await statementsIn('acme'), await statementsIn('globex')]
      const headers = { authorization: `Bearer ${tokenOfAcme}` }
      const answers = await Promise.all([
        app.inject({ url: '/who', headers: { ...headers, host: 'globex.app.example' } }),
        app.inject({ url: '/t/globex/who', headers: { ...headers, host: 'api.example' } }),
        app.inject({ url: '/who', headers: { host: 'globex.app.example' } }),
        app.inject({ url: '/who', headers: { host: 'globex.app.example', authorization: 'Bearer x.y.z' } })
      ])
      for (const { statusCode, body } of answers) t.same([statusCode, body], [404, answers[0]?.body])
      t.same([await statementsIn('acme'), await statementsIn('globex')], before)
      const right = await app.inject({ url: '/who', headers: { ...headers, host: 'acme.app.example' } })
      t.match(right.json(), { tenant: 'acme', database: await databaseOf('acme') })
      t.ok((await statementsIn('acme')) > (before[0] ?? 0), 'and an honest one is seen there')
    }
  )

  await t.test(
    'H1: whatever a request says of its tenant, it reaches the one that all of it names, or none',
    async t => {
      const app = await application(t)
      const slugs = ['acme', 'globex', undefined]
      const names = new Map([
        ['acme', await databaseOf('acme')],
        ['globex', await databaseOf('globex')]
      ])
      const wrong: unknown[] = []
      const refusals = new Set<string>()
      let served = 0
      for (const token of slugs)
        for (const host of slugs)
          for (const path of slugs)
            for (const header of slugs)
              for (const caller of ['trusted', 'anybody']) {
                const said = { token, host, path, header, caller }
                const answer = await app.inject({
                  url: path === undefined ? '/any' : `/t/${path}/any`,
                  headers: {
                    host: host === undefined ? 'api.example' : `${host}.app.example`,
                    ...(token && { authorization: `Bearer ${token === 'acme' ? tokenOfAcme : tokenOfGlobex}` }),
                    ...(header && { 'x-tenant-id': header }),
                    'x-caller': caller
                  }
                })
                const named = new Set([token, host, path, header].filter(slug => slug !== undefined))
                const isTrusted = header === undefined || caller === 'trusted'
                const [only] = named
                const isRight = named.size === 1 && isTrusted && (token ?? header) !== undefined
                if (answer.statusCode === 200) {
                  served += 1
                  const { tenant, database } = answer.json()
                  if (!isRight || tenant !== only || database !== names.get(String(only))) wrong.push(said)
                } else {
                  refusals.add(`${answer.statusCode} ${answer.body}`)
                  if (isRight) wrong.push(said)
                }
              }
      t.same(wrong, [])
      t.equal(served, 32)
      t.equal(refusals.size, 1, 'and every refusal is the same')
      t.match([...refusals][0], /^404 /)
    }
  )

  await t.test('H25: thousands of interleaved requests each reach their own tenant', async t => {
    const app = await application(t)
    const names = { acme: await databaseOf('acme'), globex: await databaseOf('globex') }
    let crossings = 0
    const ask = async (slug: 'acme' | 'globex') => {
      const authorization = `Bearer ${slug === 'acme' ? tokenOfAcme : tokenOfGlobex}`
      const { tenant, database } = (
        await app.inject({ url: '/who', headers: { host: `${slug}.app.example`, authorization } })
      ).json()
      if (tenant !== slug || database !== names[slug]) crossings += 1
    }
    for (let round = 0; round < 50; round += 1) {
      await Promise.all(Array.from({ length: 40 }, (_, index) => ask(index % 2 ? 'acme' : 'globex')))
    }
    t.equal(crossings, 0)
  })

  await t.test('H27: answers that a token or header chose say so to caches', async t => {
    const app = await application(t)
    const headers = { host: 'acme.app.example', authorization: `Bearer ${tokenOfAcme}` }
    t.equal((await app.inject({ url: '/who', headers })).headers['vary'], 'authorization')
    t.equal((await app.inject({ url: '/public', headers })).headers['vary'], undefined)
  })

  await t.test('H30: two requests in one packet of one connection are each their own tenant’s', async t => {
    const app = await application(t)
    await app.listen({ port: 0, host: '127.0.0.1' })
    const socket = connect((app.server.address() as AddressInfo).port, '127.0.0.1')
    t.teardown(() => socket.destroy())
    await once(socket, 'connect')
    const ask = (slug: string) => `GET /public HTTP/1.1\r\nHost: ${slug}.app.example\r\n\r\n`
    socket.write(ask('acme') + ask('globex') + ask('nobody') + ask('acme'))
    let heard = ''
    while ((heard.match(/HTTP\/1\.1/g) ?? []).length < 4) heard += String((await once(socket, 'data'))[0])
    const said = heard.split('HTTP/1.1 ').slice(1)
    t.match(said[0], /^200[\s\S]*"acme"/)
    t.match(said[1], /^200[\s\S]*"globex"/)
    t.match(said[2], /^404/)
    t.match(said[3], /^200[\s\S]*"acme"/)
  })

  await t.test('a request whose client goes away stops its statement on the server', async t => {
    const app = await application(t)
    await app.listen({ port: 0, host: '127.0.0.1' })
    const socket = connect((app.server.address() as AddressInfo).port, '127.0.0.1')
    socket.write('GET /sleep HTTP/1.1\r\nHost: acme.app.example\r\n\r\n')
    const sleeping = () =>
      asSuperuser(plane.server, async client => {
        const { rows } = await client.query(
          `select from pg_stat_activity where query = 'select pg_sleep(60)' and state = 'active'`
        )
        return rows.length
      })
    await eventually(sleeping, count => count === 1)
    socket.destroy()
    await eventually(sleeping, count => count === 0)
    t.equal((await app.inject({ url: '/public', headers: { host: 'acme.app.example' } })).statusCode, 200)
  })

  await t.test(
    'a route for no tenant has none, whatever the request says, and an unknown route names none',
    async t => {
      const app = await application(t)
      const headers = { host: 'acme.app.example', authorization: `Bearer ${tokenOfAcme}` }
      const none = await app.inject({ url: '/none', headers })
      t.equal(none.statusCode, 500, 'the application’s mistake, not the client’s')
      t.notMatch(none.body, /acme/)
      t.equal((await app.inject({ url: '/nowhere', headers })).statusCode, 404)
      t.equal(
        (await app.inject({ method: 'HEAD', url: '/who', headers })).statusCode,
        200,
        'HEAD is guarded as its GET is'
      )
      t.equal(
        (await app.inject({ method: 'HEAD', url: '/who', headers: { host: 'acme.app.example' } })).statusCode,
        404
      )
    }
  )

  await t.test('routes in plugins and under prefixes are guarded too', async t => {
    const app = await routedApp(t, {
      config,
      router: { resolve },
      routes: async app => {
        await app.register(
          async inner => {
            inner.get('/who', { config: { tenant: ['jwt', 'host'] } }, request => ({ tenant: request.tenant.slug }))
            inner.get('/customers', async request => (await request.tenantDb()).getRepository(customers).find())
          },
          { prefix: '/v1' }
        )
      }
    })
    t.equal((await app.inject({ url: '/v1/who', headers: { host: 'acme.app.example' } })).statusCode, 404)
    const headers = { host: 'acme.app.example', authorization: `Bearer ${tokenOfAcme}` }
    t.match((await app.inject({ url: '/v1/who', headers })).json(), { tenant: 'acme' })
    t.equal((await app.inject({ url: '/v1/customers', headers: { host: 'acme.app.example' } })).statusCode, 404)
  })
}
