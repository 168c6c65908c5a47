import { SaasctlError } from '../../errors.js'
import type { Borrower } from '../lease.js'
import type { Route } from '../route.js'
import type { Gauges } from './gauges.js'
import type { Metrics, MetricsOptions } from './metrics.js'
import { type Observer, together } from './observer.js'
import type { Tracing, TracingOptions } from './tracing.js'

export interface WatchOptions {
  /** Prometheus metrics, which `tenants.metrics()` gives; true for the usual ones in a registry of the router's own. */
  metrics?: MetricsOptions | boolean
  /** Spans through OpenTelemetry's API. */
  tracing?: TracingOptions | boolean
}

/** Loads what was asked for and nothing else. `systemOf` says what OpenTelemetry calls a tenant's kind of database. */
export async function startWatch(
  { metrics, tracing }: WatchOptions,
  gauges: Gauges,
  systemOf: (route: Route) => string
): Promise<Watch> {
  const optionsOf = <Options>(asked: Options | true) => (asked === true ? {} : asked)
  const { startMetrics } = metrics ? await import('./metrics.js') : {}
  const { startTracing } = tracing ? await import('./tracing.js') : {}
  return new Watch(
    metrics && (await startMetrics?.(optionsOf(metrics), gauges)),
    tracing && (await startTracing?.(optionsOf(tracing), systemOf))
  )
}

/** All who watch one router; nobody, unless it was asked for. */
export class Watch {
  readonly observer: Observer
  readonly #metrics: Metrics | undefined
  readonly #tracing: Tracing | undefined

  constructor(metrics?: Metrics | false, tracing?: Tracing | false) {
    this.#metrics = metrics || undefined
    this.#tracing = tracing || undefined
    this.observer = together([this.#metrics, this.#tracing].filter(observer => observer !== undefined))
  }

  /** The trace that is active here; undefined without tracing. */
  get traceId(): string | undefined {
    return this.#tracing?.traceId()
  }

  /** For a lease of the tenant's: what it tells whom. */
  borrower(route: Route, where: string | undefined): Borrower {
    const { queried, waited } = this.observer
    return {
      where,
      ran: queried && ((milliseconds, failed, statement) => queried(route, milliseconds, failed, statement)),
      waited: waited && (milliseconds => waited(route, milliseconds))
    }
  }

  /** In Prometheus' text format, with the registry's content type. USAGE unless metrics were asked for. */
  async metrics(): Promise<{ contentType: string; text: string }> {
    if (!this.#metrics) {
      throw new SaasctlError('USAGE', 'This router keeps no metrics.', {
        hint: 'Start it with the option metrics: true.'
      })
    }
    const { registry } = this.#metrics
    return { contentType: registry.contentType, text: await registry.metrics() }
  }

  stop(): void {
    this.#metrics?.stop()
  }
}
