import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { demoIssuer } from '../../examples/product/demo/issuer.js'
import { customers, invoices, users } from '../../examples/product/entities.js'
import { product } from '../../examples/product/product.js'
import { createTenant } from '../../src/tenants/create.js'
import { migrateTenant } from '../../src/tenants/migrate.js'
import { assertNoCrossing } from '../../src/testing.js'
import { controlPlane } from '../support/control-plane.js'
import { eventually } from '../support/eventually.js'
import { routerConfig } from '../support/routed-app.js'
import { skipWithoutPostgres } from '../support/servers.js'

if (!(await skipWithoutPostgres(t))) {
  const plane = await controlPlane()
  t.teardown(() => plane.close())
  const { saasctl } = plane
  const wait = { wait: true }
  const issuer = await demoIssuer()
  const ids: Record<string, string> = {}
  for (const [slug, plan] of [
    ['acme', 'enterprise'],
    ['globex', 'free'],
    ['initech', 'enterprise']
  ] as const) {
    const { tenant } = await createTenant(saasctl, { slug, plan }, { template: 'standard' }, wait)
    ids[slug] = tenant.id
  }

  const config = await routerConfig(plane)
  const app: FastifyInstance = await product({
    issuers: [issuer.options],
    domain: 'app.example',
    level: 'silent',
    config
  })
  t.teardown(() => app.close())
  app.get('/misspelt', request => ({ sso: request.tenant.can('ssso') }))
  app.get('/identity', request => ({ identity: request.tenantIdentity }))
  await app.ready()

  /** Each tenant gets the same three users and a customer, whose ids are the same in both databases. */
  const tokens: Record<string, string> = {}
  for (const [slug, id] of Object.entries(ids)) {
    await app.tenants.use(id, session =>
      session.transaction(async manager => {
        for (const role of ['owner', 'member', 'guest'] as const) {
          const user = await manager.save(users, { name: role, email: `${role}@${slug}.example`, role })
          tokens[`${slug} ${role}`] = await issuer.token(id, user.id)
        }
        await manager.save(customers, {
          name: `Customer of ${slug}`,
          email: 'mail@x.example',
          country: null,
          currency: 'EUR'
        })
      })
    )
    tokens[`${slug} stranger`] = await issuer.token(id, '999')
  }

  interface Wish {
    host?: string
    method?: 'POST'
    body?: object
  }
  const send = async (as: string | undefined, url: string, { host, body, method }: Wish = {}) => {
    const authority = host ?? (as ? `${as.split(' ')[0]}.app.example` : 'app.example')
    const answer = await app.inject({
      url,
      method: method ?? (body ? 'POST' : 'GET'),
      headers: { host: authority, ...(as && { authorization: `Bearer ${tokens[as]}` }) },
      ...(body && { payload: body })
    })
    const isJson = answer.headers['content-type']?.toString().startsWith('application/json')
    return { status: answer.statusCode, body: isJson ? answer.json() : answer.body, headers: answer.headers }
  }
  const invoice = (more: object = {}) => ({
    body: {
      customerId: '1',
      lines: [{ description: 'A day', quantity: '2', unitPrice: '100.005', taxRate: '0.19' }],
      ...more
    }
  })
  const count = async (as: string, what: string) => (await send(as, `/${what}?limit=100`)).body.length

  await t.test('the product tells a user who they are, and what their plan allows', async t => {
    const { status, body } = await send('globex member', '/me')
    t.equal(status, 200)
    t.match(body, {
      user: { name: 'member', email: 'member@globex.example', role: 'member' },
      tenant: { id: ids['globex'], slug: 'globex', plan: 'free' },
      features: { sso: false, export: false },
      limits: { users: 3, projects: 3 }
    })
    t.strictSame((await send('acme owner', '/me')).body.limits, { users: null, projects: null }, 'null is no limit')
    t.equal((await send('acme stranger', '/me')).body.user, null, 'a token of somebody who is no user of the tenant')
  })

  await t.test('an invoice gets its number from the tenant’s own count, and adds up', async t => {
    const { status, body, headers } = await send('acme owner', '/invoices', invoice())
    t.equal(status, 201)
    t.match(body, {
      number: /^\d{4}-00001$/,
      status: 'issued',
      currency: 'EUR',
      totals: { net: '200.01', total: '238.01' }
    })
    t.strictSame((await send('acme guest', String(headers['location']))).body, body, 'as its location gives it')
    const other = await send('globex owner', '/invoices', invoice())
    t.equal(other.body.number, body.number, 'another tenant counts for itself')
    t.match((await send('globex owner', '/invoices')).body, [{ id: other.body.id }])
    t.equal(await count('globex owner', 'invoices'), 1, 'and is shown its own alone')
  })

  await t.test('pages go on where the one before ended', async t => {
    for (let more = 0; more < 4; more += 1) await send('acme owner', '/invoices', invoice())
    const ids = async (query: string) =>
      (await send('acme owner', `/invoices?${query}`)).body.map(({ id }: { id: string }) => Number(id))
    const first = await ids('limit=3')
    t.equal(first.length, 3)
    t.strictSame([...first, ...(await ids(`limit=3&before=${first.at(-1)}`))], await ids('limit=6'))
  })

  await t.test('an invoice is paid once, also when two pay at the same time', async t => {
    const { id, number } = (await send('acme owner', '/invoices', invoice())).body
    const pay = () => send('acme member', `/invoices/${id}/pay`, { method: 'POST' })
    // Both are made to meet at the invoice's row.
    const { paying } = await app.tenants.use('acme', session =>
      session.transaction(async manager => {
        await manager.findOne(invoices, { where: { id }, lock: { mode: 'pessimistic_write' } })
        const paying = [pay(), pay()]
        await eventually(
          () =>
            manager.query<Array<{ waiting: number }>>(
              'select count(*)::int as waiting from pg_locks where not granted'
            ),
          ([row]) => row?.waiting === 2
        )
        return { paying }
      })
    )
    const answers = await Promise.all(paying)
    t.strictSame(answers.map(({ status }) => status).sort(), [200, 409])
    t.match(await pay(), {
      status: 409,
      body: { code: 'INVOICE_STATE', message: `Invoice ${number} is paid; only an issued one can be paid.` }
    })
    t.match(await send('acme owner', '/invoices/99999/pay', { method: 'POST' }), {
      status: 404,
      body: { code: 'NOT_FOUND', message: 'There is no invoice 99999.' }
    })
  })

  await t.test('of two who add a project at the same time one gets the last place of the plan', async t => {
    const add = (name: string) => send('globex owner', '/projects', { body: { name, customerId: '1' } })
    t.match(await add('Second'), { status: 201, body: { name: 'Second', status: 'open', customerId: '1' } })
    const both = await Promise.all([add('Third'), add('Fourth')])
    t.strictSame(both.map(({ status }) => status).sort(), [201, 402])
    t.match(await add('Fifth'), {
      status: 402,
      body: { code: 'PLAN_LIMIT', message: 'The plan free has room for 3 projects.' }
    })
    t.equal(await count('globex owner', 'projects'), 3)
    t.equal((await send('acme owner', '/projects', { body: { name: 'Any' } })).status, 201, 'a plan without the limit')
  })

  await t.test('guests and strangers look, and change nothing', async t => {
    const before = await count('acme guest', 'invoices')
    for (const who of ['acme guest', 'acme stranger']) {
      for (const [url, wish] of [
        ['/invoices', invoice()],
        ['/invoices/1/pay', { method: 'POST' }],
        ['/projects', { body: { name: 'Mine' } }],
        ['/customers', { body: { name: 'Mine', email: 'me@x.example' } }]
      ] as const) {
        t.match(await send(who, url, wish), { status: 403, body: { code: 'NOT_ALLOWED' } }, `${who} ${url}`)
      }
    }
    t.equal(await count('acme guest', 'invoices'), before)
  })

  await t.test('what cannot be is refused in one sentence, and leaves nothing', async t => {
    const before = await count('acme owner', 'invoices')
    const line = { description: 'A day', unitPrice: '1' }
    for (const [url, body, status, message] of [
      ['/invoices', invoice({ customerId: '77' }).body, 422, 'There is no customer 77.'],
      ['/invoices', invoice({ projectId: '77' }).body, 422, 'There is no project 77.'],
      ['/invoices', invoice({ lines: [] }).body, 400, /lines must NOT have fewer than 1 items/],
      ['/invoices', { customerId: '1' }, 400, /must have required property 'lines'/],
      ['/invoices', invoice({ customerId: '1; drop table invoices' }).body, 400, /customerId must match/],
      ['/invoices', invoice({ lines: [{ ...line, unitPrice: '1e400' }] }).body, 400, /unitPrice must match/],
      ['/invoices', invoice({ lines: [{ ...line, quantity: '100000' }] }).body, 400, /quantity must match/],
      ['/invoices', invoice({ lines: [{ ...line, taxRate: '1.5' }] }).body, 400, /taxRate must match/],
      ['/invoices', invoice({ lines: [{ ...line, description: 'nul \0' }] }).body, 400, /description must match/],
      ['/projects', { name: '' }, 400, /name must NOT have fewer than 1 characters/],
      ['/projects', { name: 'Good', customerId: '77' }, 422, 'There is no customer 77.'],
      ['/customers', { name: 'Good', email: 'no' }, 400, /email must match format/],
      ['/customers', { name: 'Good', email: 'mail@x.example', country: 'de' }, 400, /country must match/]
    ] as const) {
      const answer = await send('acme owner', url, { body })
      t.match(answer, { status, body: { statusCode: status, message } }, JSON.stringify(body))
    }
    for (const url of ['/invoices/abc', '/invoices?limit=1000', '/invoices?before=x', '/projects/0']) {
      t.equal((await send('acme owner', url)).status, 400, url)
    }
    t.equal(await count('acme owner', 'invoices'), before)
  })

  await t.test('the largest line that is let in still adds up', async t => {
    const lines = [{ description: 'All of it', quantity: '99999.999', unitPrice: '9999999.9999', taxRate: '1' }]
    const { status, body } = await send('acme owner', '/invoices', invoice({ lines }))
    t.equal(status, 201, JSON.stringify(body))
    t.match(body.totals.net, /^99999998\d{4}\.\d\d$/)
  })

  await t.test('whoever names a tenant that is not theirs gets one and the same answer', async t => {
    const unknown = await send('acme owner', '/invoices', { host: 'nobody.app.example' })
    t.match(unknown, { status: 404, body: { code: 'TENANT_REFUSED', message: 'Not found.' } })
    for (const [as, host] of [
      ['acme owner', 'globex.app.example'],
      [undefined, 'acme.app.example'],
      [undefined, 'app.example']
    ] as const) {
      const { status, body } = await send(as, '/invoices', { host })
      t.strictSame({ status, body }, { status: unknown.status, body: unknown.body }, `${as} at ${host}`)
    }
    const other = await demoIssuer()
    tokens['acme forger'] = await other.token(ids['acme'] ?? '', '1')
    t.strictSame((await send('acme forger', '/invoices')).body, unknown.body, 'a token with another key')
  })

  await t.test('no customer of one tenant is ever listed for another', async t => {
    const as = (tenant: string) => `${tenant} owner`
    await t.resolves(
      assertNoCrossing({
        tenants: ['acme', 'initech'],
        write: (tenant, name) => send(as(tenant), '/customers', { body: { name, email: 'mail@x.example' } }),
        read: async tenant => JSON.stringify((await send(as(tenant), '/customers?limit=100')).body)
      })
    )
  })

  await t.test('a request knows whose verified token it came with', async t => {
    const { identity } = (await send('acme member', '/identity')).body
    t.match(identity, { issuer: 'https://sign-in.example', userId: '2', payload: { tid: ids['acme'], sub: '2' } })
  })

  await t.test('a feature that no plan has is the program’s mistake, not the client’s, and never a "no"', async t => {
    t.match(await send('acme owner', '/misspelt'), {
      status: 500,
      body: { statusCode: 500, code: 'FAILED', message: 'Internal server error.' }
    })
  })

  await t.test('health and metrics need no tenant', async t => {
    t.match(await send(undefined, '/health'), { status: 200, body: { status: 'ok' } })
    const { status, body } = await send(undefined, '/metrics')
    t.equal(status, 200)
    t.match(body, /saasctl_router_requests_total\{tenant="acme",status="2xx"\} \d+/)
  })

  await t.test('a tenant whose schema is too old is told to come again, and the others are served', async t => {
    await migrateTenant(saasctl, 'globex', { direction: 'down', to: null }, wait)
    const answer = await eventually(
      () => send('globex owner', '/projects'),
      // Asked for so often, it may also say that the plan allows no more just now.
      ({ status }) => status === 503
    )
    t.match(answer, { status: 503, body: { code: 'TENANT_SCHEMA' }, headers: { 'retry-after': '30' } })
    t.equal((await send('acme owner', '/projects')).status, 200)
    await migrateTenant(saasctl, 'globex', { direction: 'up', to: null }, wait)
    t.equal(
      (
        await eventually(
          () => send('globex owner', '/projects'),
          ({ status }) => status === 200
        )
      ).status,
      200
    )
  })
}
