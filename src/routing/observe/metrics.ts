import type { Registry } from 'prom-client'
import type { BudgetStatistics } from '../budget/options.js'
import { Labels } from './labels.js'
import type { Observer } from './observer.js'

export interface MetricsOptions {
  /** The application's own registry; by default one of the router's. Two routers in one process need one each. */
  registry?: Registry
  /** Tenants with a label of their own; the others are counted as "other". 200. */
  tenants?: number
}

/** What is read when somebody asks for the metrics. */
export interface Gauges {
  servers(): Promise<Array<BudgetStatistics & { server: string; broken: boolean }>>
  /** Names whose answer is known, and lookups that were answered with what was known while the catalog was away. */
  lookup(): { known: number; stale: number; catalogUp: boolean }
}

export interface Metrics extends Observer {
  registry: Registry
}

const seconds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

/** Prometheus metrics of one router. Loads prom-client. A tenant's label is its slug, and never what a client has sent. */
export async function startMetrics(options: MetricsOptions, gauges: Gauges): Promise<Metrics> {
  const { Counter, Gauge, Histogram, Registry: OwnRegistry } = (await import('prom-client')).default
  const registry = options.registry ?? new OwnRegistry()
  const labels = new Labels(options.tenants ?? 200)
  const registers = [registry]
  const named = (name: string, help: string) => ({ name: `saasctl_router_${name}`, help, registers })

  const requests = new Counter({
    ...named('requests_total', 'Requests of tenants that were answered, by the class of their status.'),
    labelNames: ['tenant', 'status']
  })
  const errors = new Counter({
    ...named('errors_total', 'Requests of tenants that were answered with 500 or more.'),
    labelNames: ['tenant']
  })
  const latency = new Histogram({
    ...named('request_seconds', 'From a request’s arrival to its answer.'),
    labelNames: ['tenant'],
    buckets: seconds
  })
  const refusals = new Counter({
    ...named('refusals_total', 'Requests that led to no tenant, by reason.'),
    labelNames: ['reason']
  })
  const turnedAway = new Counter({
    ...named('turned_away_total', 'Requests of tenants that were turned away, by code.'),
    labelNames: ['tenant', 'code']
  })
  const queries = new Histogram({
    ...named('query_seconds', 'Statements in tenants’ databases, to their answer.'),
    labelNames: ['tenant'],
    buckets: seconds
  })
  const failures = new Counter({
    ...named('query_errors_total', 'Statements in tenants’ databases that failed.'),
    labelNames: ['tenant']
  })
  const waits = new Histogram({
    ...named(
      'connection_wait_seconds',
      'How long somebody waited for a connection; those who found one idle are not counted.'
    ),
    labelNames: ['tenant'],
    buckets: seconds
  })
  const lookups = new Counter({
    ...named('lookups_total', 'Tenants that were looked up: known already, or asked of the catalog.'),
    labelNames: ['answer']
  })
  watchServers({ Gauge, named, gauges })
  watchLookup({ Gauge, named, gauges })

  return {
    registry,
    answered: ({ slug }, status, milliseconds) => {
      const tenant = labels.of(slug)
      requests.inc({ tenant, status: `${Math.floor(status / 100)}xx` })
      if (status >= 500) errors.inc({ tenant })
      latency.observe({ tenant }, milliseconds / 1000)
    },
    refused: reason => refusals.inc({ reason }),
    turnedAway: ({ slug }, code) => turnedAway.inc({ tenant: labels.of(slug), code }),
    queried: ({ slug }, milliseconds, failed) => {
      const tenant = labels.of(slug)
      queries.observe({ tenant }, milliseconds / 1000)
      if (failed) failures.inc({ tenant })
    },
    waited: (milliseconds, slug) => waits.observe({ tenant: labels.of(slug) }, milliseconds / 1000),
    lookedUp: known => lookups.inc({ answer: known ? 'known' : 'asked' })
  }
}

interface Watch {
  Gauge: typeof import('prom-client').Gauge
  named(name: string, help: string): { name: string; help: string; registers: Registry[] }
  gauges: Gauges
}

/** Counted where they are kept, and read when somebody asks: nothing is counted twice. */
function watchServers({ Gauge, named, gauges }: Watch): void {
  type Server = Awaited<ReturnType<Gauges['servers']>>[number]
  const perServer = (name: string, help: string, read: (server: Server) => number) =>
    new Gauge({
      ...named(name, help),
      labelNames: ['server'],
      async collect() {
        for (const server of await gauges.servers()) this.set({ server: server.server }, read(server))
      }
    })
  perServer('evictions', 'Idle connections closed so far for a tenant that needed one.', server => server.evictions)
  perServer('connection_limit', 'Connections that this router may hold.', server => server.max)
  perServer('waiting', 'Requests that wait for a connection.', server => server.waiting)
  perServer('breaker_open', '1 while a server is left alone because it does not answer.', server =>
    server.broken ? 1 : 0
  )
  new Gauge({
    ...named('connections', 'Connections of this router, by what they do.'),
    labelNames: ['server', 'state'],
    async collect() {
      for (const { server, idle, lent, opening, closing } of await gauges.servers()) {
        for (const [state, count] of Object.entries({ idle, lent, opening, closing }))
          this.set({ server, state }, count)
      }
    }
  })
}

function watchLookup({ Gauge, named, gauges }: Watch): void {
  const one = (name: string, help: string, read: (now: ReturnType<Gauges['lookup']>) => number) =>
    new Gauge({
      ...named(name, help),
      collect() {
        this.set(read(gauges.lookup()))
      }
    })
  one('known_names', 'Names, of tenants and of none, whose answer this router knows.', ({ known }) => known)
  one('stale_lookups', 'Lookups so far that were answered while the catalog was away.', ({ stale }) => stale)
  one('catalog_up', '1 while the router hears of the catalog’s changes.', ({ catalogUp }) => (catalogUp ? 1 : 0))
}
