import type { Registry } from 'prom-client'
import { count } from './counters.js'
import { type Gauges, read } from './gauges.js'
import type { Observer } from './observer.js'

export interface MetricsOptions {
  /** The application's own registry; by default one of the router's. Routers that share one are counted together. */
  registry?: Registry
  /** Tenants with a label of their own; the others are counted as "other". 200. */
  tenants?: number
}

export interface Metrics extends Observer {
  registry: Registry
  /** The router is closed: what it has counted stays, what is read from it is gone. */
  stop(): void
}

/** A name can stand in a registry once, so whoever comes second joins the first. */
const kept = new WeakMap<Registry, { observer: Observer; routers: Set<Gauges> }>()

/** Prometheus metrics. Loads prom-client. A tenant's label is its slug, and never what a client has sent. */
export async function startMetrics(
  { registry: given, tenants = 200 }: MetricsOptions,
  router: Gauges
): Promise<Metrics> {
  const { default: prometheus } = await import('prom-client')
  const registry = given ?? new prometheus.Registry()
  const known = kept.get(registry)
  const routers = known?.routers ?? new Set<Gauges>()
  const observer = known?.observer ?? count(prometheus, registry, tenants)
  if (!known) {
    read(prometheus, registry, routers)
    kept.set(registry, { observer, routers })
  }
  routers.add(router)
  return { ...observer, registry, stop: () => void routers.delete(router) }
}
