import { Writable } from 'node:stream'
import { context, trace } from '@opentelemetry/api'
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor
} from '@opentelemetry/sdk-trace-base'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { logging } from '../../src/router.js'
import { suspendTenant } from '../../src/tenants/suspend.js'
import { controlPlane } from '../support/control-plane.js'
import { customers, makeTenants, routedApp, routerConfig } from '../support/routed-app.js'
import { skipWithoutPostgres } from '../support/servers.js'

/** Fastify's options of `logging`, with the lines kept. */
function recorded(): { server: object; lines: Array<Record<string, unknown>>; text(): string } {
  const lines: Array<Record<string, unknown>> = []
  const stream = new Writable({
    write(chunk, _encoding, done) {
      for (const line of String(chunk).trim().split('\n')) lines.push(JSON.parse(line))
      done()
    }
  })
  const { logger, ...options } = logging('invoices')
  return {
    server: { ...options, logger: { ...(logger as object), stream } },
    lines,
    text: () => lines.map(line => JSON.stringify(line)).join('\n')
  }
}

if (!(await skipWithoutPostgres(t))) {
  const plane = await controlPlane()
  t.teardown(() => plane.close())
  await makeTenants(plane, ['acme', 'globex', 'initech'])
  const config = await routerConfig(plane)

  const routes = (app: FastifyInstance) => {
    const byHost = { config: { tenant: 'host' } }
    app.get('/both', async request => request.tenant.slug)
    app.get('/customers', byHost, async request => (await request.tenantDb()).getRepository(customers).find())
    app.get('/broken', byHost, async request => (await request.tenantDb()).query(`select 'canary-value'::int`))
    app.get('/metrics', { config: { tenant: false } }, async (_request, reply) => {
      const { contentType, text } = await app.tenants.metrics()
      return reply.type(contentType).send(text)
    })
  }
  const get = (app: FastifyInstance, slug: string, url = '/customers', headers = {}) =>
    app.inject({ url, headers: { host: `${slug}.app.example`, ...headers } })

  await t.test('metrics count requests, queries, connections and refusals, per tenant', async t => {
    const app = await routedApp(t, { config, router: { metrics: true }, routes })
    for (const _ of [1, 2, 3]) t.equal((await get(app, 'acme')).statusCode, 200)
    t.equal((await get(app, 'acme', '/broken')).statusCode, 500)
    t.equal((await get(app, 'nobody')).statusCode, 404)
    const { body, headers } = await app.inject('/metrics')
    t.match(String(headers['content-type']), /^text\/plain/)
    for (const line of [
      'saasctl_router_requests_total{tenant="acme",status="2xx"} 3',
      'saasctl_router_requests_total{tenant="acme",status="5xx"} 1',
      'saasctl_router_errors_total{tenant="acme"} 1',
      'saasctl_router_query_seconds_count{tenant="acme"} 4',
      'saasctl_router_query_errors_total{tenant="acme"} 1',
      'saasctl_router_refusals_total{reason="unknown"} 1',
      'saasctl_router_connections{server="main",state="idle"} 1',
      'saasctl_router_connections{server="main",state="lent"} 0',
      'saasctl_router_breaker_open{server="main"} 0',
      'saasctl_router_catalog_away 0',
      'saasctl_router_known_names 2'
    ])
      t.ok(body.includes(`${line}\n`), line)
    t.notMatch(body, /nobody/, 'what a client has typed is no label')
  })

  await t.test('no more tenants than asked for have a label of their own', async t => {
    const app = await routedApp(t, { config, router: { metrics: { tenants: 1 } }, routes })
    for (const slug of ['acme', 'globex', 'initech']) await get(app, slug)
    const { body } = await app.inject('/metrics')
    t.match(body, /requests_total\{tenant="acme",status="2xx"\} 1/)
    t.match(body, /requests_total\{tenant="other",status="2xx"\} 2/)
    t.notMatch(body, /globex|initech/)
  })

  await t.test('two routers in one process count apart, and one without metrics says how to get them', async t => {
    const first = await routedApp(t, { config, router: { metrics: true }, routes })
    const second = await routedApp(t, { config, router: { metrics: true }, routes })
    await get(first, 'acme')
    t.notMatch((await second.inject('/metrics')).body, /requests_total\{/)
    const none = await routedApp(t, { config, routes })
    await t.rejects(none.tenants.metrics(), { code: 'USAGE', hint: /metrics: true/ })
  })

  await t.test('each log line of a tenant’s request says whose it is, and to which trace it belongs', async t => {
    const log = recorded()
    const app = await routedApp(t, { config, server: log.server, routes })
    const traceId = '4bf92f3577b34da6a3ce929d0e0e4736'
    await get(app, 'acme', '/customers', { traceparent: `00-${traceId}-00f067aa0ba902b7-01` })
    const done = log.lines.find(({ message }) => message === 'request completed')
    t.match(done, { level: 'info', service: 'invoices', traceId, requestId: /./, tenantId: /^[0-9a-f-]{36}$/ })
    t.ok(Number.isFinite(Date.parse(String(done?.['timestamp']))))
    await get(app, 'acme', '/customers', { traceparent: 'anything; drop table' })
    t.notMatch(log.text(), /drop table/, 'a trace id of another form is none')
  })

  await t.test('neither log nor answer of a failed statement holds SQL, a value, a host or a password', async t => {
    const log = recorded()
    const app = await routedApp(t, { config, server: log.server, routes })
    const { statusCode, body } = await get(app, 'acme', '/broken', { authorization: 'Bearer canary-token' })
    t.equal(statusCode, 500)
    t.match(JSON.parse(body), { statusCode: 500, code: 'FAILED', message: 'Internal server error.' })
    const all = `${body}\n${log.text()}`
    t.notMatch(all, /canary|select|127\.0\.0\.1:\d+\/t/i)
    t.match(log.text(), /22P02/, 'the SQLSTATE is there for whoever looks')
  })

  await t.test('an application’s own error handler still sees the statement’s error', async t => {
    const app = await routedApp(t, {
      config,
      routes: app => {
        routes(app)
        app.setErrorHandler((error: Error & { driverError?: { code: string } }, _request, reply) =>
          reply.code(409).send({ state: error.driverError?.code })
        )
      }
    })
    const { statusCode, body } = await get(app, 'acme', '/broken')
    t.equal(statusCode, 409)
    t.equal(JSON.parse(body).state, '22P02')
  })

  await t.test('statements and waits are spans under the request’s own, without their text', async t => {
    const exporter = new InMemorySpanExporter()
    const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] })
    trace.setGlobalTracerProvider(provider)
    t.teardown(async () => {
      trace.disable()
      context.disable()
      await provider.shutdown()
    })
    const app = await routedApp(t, { config, router: { tracing: true }, routes })
    await get(app, 'acme')
    await get(app, 'acme', '/broken')
    const spans = exporter.getFinishedSpans().filter(({ name }) => name === 'tenant query')
    t.equal(spans.length, 2)
    t.match(spans[0]?.attributes, { 'db.system.name': 'postgresql', 'db.namespace': /^t[a-z0-9]{26}$/ })
    t.equal(spans[1]?.status.code, 2)
    t.notMatch(
      JSON.stringify(spans.map(({ name, attributes, events }: ReadableSpan) => [name, attributes, events])),
      /select|canary/
    )
  })

  await t.test('what no honest client does is an audit event, a few a minute and not a thousand', async t => {
    const app = await routedApp(t, { config, routes })
    for (let index = 0; index < 40; index += 1) {
      await app.inject({ url: '/both', headers: { host: 'acme.app.example', 'x-tenant-id': 'globex' } })
    }
    const events = async () =>
      plane.saasctl.catalog.query<{ action: string; payload: string }>(
        `select e.action, p.payload from saasctl.audit_event e join saasctl.audit_payload p using (chain, seq)
         where e.chain = 'router' order by e.seq`
      )
    let seen = await events()
    for (let tries = 0; seen.length < 5 && tries < 50; tries += 1) {
      await new Promise(resolve => setTimeout(resolve, 20))
      seen = await events()
    }
    t.equal(seen.length, 5)
    t.match(seen[0], { action: 'router.refused.disagree', payload: /"peer":"127\.0\.0\.1"/ })
  })

  await t.test('a suspended tenant’s own caller can be told so, and nobody else', async t => {
    const app = await routedApp(t, {
      config,
      router: { onRefused: ({ status }, _request, reply) => void reply.code(403).send({ account: status }) },
      routes
    })
    await suspendTenant(plane.saasctl, 'initech', { wait: true })
    const outsider = await get(app, 'initech')
    t.equal(outsider.statusCode, 404)
    const own = await app.inject({
      url: '/both',
      headers: { host: 'initech.app.example', 'x-tenant-id': 'initech' }
    })
    t.match({ status: own.statusCode, body: own.json() }, { status: 403, body: { account: 'suspended' } })
  })
}
