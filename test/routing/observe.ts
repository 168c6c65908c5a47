import { AsyncLocalStorage } from 'node:async_hooks'
import { type Context, type ContextManager, context, ROOT_CONTEXT, trace } from '@opentelemetry/api'
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base'
import type { FastifyInstance } from 'fastify'
import { Registry } from 'prom-client'
import t from 'tap'
import { logging, type RouterOptions } from '../../src/router.js'
import { suspendTenant } from '../../src/tenants/suspend.js'
import { controlPlane } from '../support/control-plane.js'
import { eventually } from '../support/eventually.js'
import { type LogLines, logLines } from '../support/log-lines.js'
import { customers, makeTenants, routedApp, routerConfig } from '../support/routed-app.js'
import { skipWithoutPostgres } from '../support/servers.js'

/** Fastify's options of `logging`, with the lines kept. */
function recorded(): LogLines & { server: object } {
  const log = logLines()
  const { logger, ...options } = logging('invoices')
  return { ...log, server: { ...options, logger: { ...(logger as object), stream: log.stream } } }
}

/** What an application's SDK brings along: the span that is active here, through everything that is awaited. */
class AsyncContexts implements ContextManager {
  readonly #storage = new AsyncLocalStorage<Context>()
  active = () => this.#storage.getStore() ?? ROOT_CONTEXT
  with: ContextManager['with'] = (active, act, self, ...told) => this.#storage.run(active, () => act.apply(self, told))
  bind: ContextManager['bind'] = (_active, target) => target
  enable = () => this
  disable = () => this
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
    app.get('/parameter', byHost, async request =>
      (await request.tenantDb()).query('select $1::text as said', ['canary-value'])
    )
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
      'saasctl_router_known_names 2',
      'saasctl_router_opens_total{server="main"} 1',
      'saasctl_router_evictions_total{server="main"} 0',
      'saasctl_router_lookups_total{answer="known"} 3',
      'saasctl_router_lookups_total{answer="asked"} 2'
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
    const registry = new Registry()
    const router = { metrics: { registry } }
    const [one, two] = [await routedApp(t, { config, router, routes }), await routedApp(t, { config, router, routes })]
    await Promise.all([get(one, 'acme'), get(two, 'acme')])
    const both = await registry.metrics()
    t.match(both, /requests_total\{tenant="acme",status="2xx"\} 2/, 'unless they were given the same registry')
    t.match(both, /connections\{server="main",state="idle"\} 2/)
    await two.close()
    const left = await registry.metrics()
    t.match(left, /requests_total\{tenant="acme",status="2xx"\} 2/)
    t.match(left, /connections\{server="main",state="idle"\} 1/, 'what is closed has no connections')
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

  /** An SDK for the length of a test; each request gets a span of its own, as the HTTP instrumentation would give it. */
  const traced = async (test: Pick<typeof t, 'teardown'>, tracing: RouterOptions['tracing']) => {
    const exporter = new InMemorySpanExporter()
    const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] })
    trace.setGlobalTracerProvider(provider)
    context.setGlobalContextManager(new AsyncContexts())
    test.teardown(async () => {
      trace.disable()
      context.disable()
      await provider.shutdown()
    })
    const log = recorded()
    const app = await routedApp(test, { config, server: log.server, router: { tracing, acquireMs: 5_000 }, routes })
    const asked = async (slug: string, url?: string, headers?: object) => {
      const span = trace.getTracer('test').startSpan(slug)
      // Fastify asks only when somebody awaits, and in that one's context.
      const answer = await context.with(
        trace.setSpan(context.active(), span),
        async () => await get(app, slug, url, headers)
      )
      span.end()
      return { answer, span: span.spanContext() }
    }
    const under = ({ spanId }: { spanId: string }) =>
      exporter.getFinishedSpans().filter(({ parentSpanContext }) => parentSpanContext?.spanId === spanId)
    return { asked, under, exporter, log }
  }

  await t.test('each step of a request is a span under the request’s own, whoever else is busy', async t => {
    const { asked, under, exporter, log } = await traced(t, true)
    // Twice as many as the tenants' plans have connections: half of them wait for what another tenant's request gives back.
    const slugs = Array.from({ length: 60 }, (_, index) => (index % 2 ? 'acme' : 'globex'))
    const requests = await Promise.all(slugs.map(slug => asked(slug)))
    const ids = new Map<string, Set<unknown>>()
    let waits = 0
    for (const [index, { answer, span }] of requests.entries()) {
      const slug = String(slugs[index])
      t.equal(answer.statusCode, 200)
      const spans = under(span)
      const names = spans.map(({ name }) => name)
      t.same(names.filter(name => name !== 'wait for a connection').sort(), ['resolve tenant', 'tenant query'])
      waits += names.length - 2
      for (const { attributes } of spans) {
        ids.set(slug, (ids.get(slug) ?? new Set()).add(attributes['saasctl.tenant.id']))
      }
    }
    t.ok(waits > 0, 'somebody had to wait')
    t.same(
      [...ids.values()].map(({ size }) => size),
      [1, 1],
      'and no span of one tenant is under a request of the other'
    )
    const [first] = requests
    const query = under(first?.span ?? { spanId: '' }).find(({ name }) => name === 'tenant query')
    t.match(query?.attributes, { 'db.system.name': 'postgresql', 'db.namespace': /^t[a-z0-9]{26}$/ })
    t.ok(log.lines.some(({ traceId, tenantId }) => traceId === first?.span.traceId && tenantId !== undefined))
    const broken = await asked('acme', '/broken')
    t.equal(under(broken.span).find(({ name }) => name === 'tenant query')?.status.code, 2)
    const refused = await asked('nobody')
    t.same(
      under(refused.span).map(({ name, attributes }) => [name, attributes]),
      [['resolve tenant', {}]]
    )
    const everything = exporter.getFinishedSpans().map(({ name, attributes, events }) => [name, attributes, events])
    t.notMatch(JSON.stringify(everything), /select|canary/i)
  })

  await t.test('a statement’s text is part of its span when it is asked for, and its values never', async t => {
    const { asked, under } = await traced(t, { statements: true })
    const { span } = await asked('acme', '/parameter')
    const query = under(span).find(({ name }) => name === 'tenant query')
    t.equal(query?.attributes['db.query.text'], 'select $1::text as said')
    t.notMatch(JSON.stringify(query?.attributes), /canary/)
  })

  await t.test('without an SDK, tracing says nothing and breaks nothing', async t => {
    const app = await routedApp(t, { config, router: { tracing: true, metrics: true }, routes })
    t.equal((await get(app, 'acme')).statusCode, 200)
    t.match((await app.inject('/metrics')).body, /query_seconds_count\{tenant="acme"\} 1/, 'both are told')
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
    const seen = await eventually(events, rows => rows.length >= 5)
    t.equal(seen.length, 5)
    t.match(seen[0], { action: 'router.refused.disagree', payload: /"peer":"127\.0\.0\.1"/ })
    const long = `${'x'.repeat(6_000)}"\\`
    await app.inject({ url: '/both', headers: { host: 'acme.app.example', 'x-tenant-id': long } })
    const [last] = (await eventually(events, rows => rows.length === 6)).slice(-1)
    t.match(last, { action: 'router.refused.malformed' })
    t.ok(String(last?.payload).length < 300, 'and what was sent is quoted and cut')
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
