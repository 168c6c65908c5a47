import type prometheus from 'prom-client'
import type { Registry } from 'prom-client'
import { Labels } from './labels.js'
import type { Observer } from './observer.js'

const seconds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

/** What happens, counted as it happens: 0.6 µs a request and 0.25 µs a statement. */
export function count({ Counter, Histogram }: typeof prometheus, registry: Registry, tenants: number): Observer {
  const labels = new Labels(tenants)
  const counter = <Name extends string>(name: string, help: string, labelNames: Name[]) =>
    new Counter({ name: `saasctl_router_${name}`, help, labelNames, registers: [registry] })
  const histogram = (name: string, help: string) =>
    new Histogram({
      name: `saasctl_router_${name}`,
      help,
      labelNames: ['tenant'],
      buckets: seconds,
      registers: [registry]
    })

  const requests = counter(
    'requests_total',
    'Requests of tenants by the class of their status; closed: the client went away, or took the socket for its own.',
    ['tenant', 'status']
  )
  const errors = counter('errors_total', 'Requests of tenants that were answered with 500 or more.', ['tenant'])
  const latency = histogram('request_seconds', 'From a request’s arrival to its answer.')
  const refusals = counter('refusals_total', 'Requests that led to no tenant, by reason.', ['reason'])
  const turnedAway = counter('turned_away_total', 'Requests of tenants that were turned away, by code.', [
    'tenant',
    'code'
  ])
  const queries = histogram('query_seconds', 'Statements in tenants’ databases, to their answer.')
  const failures = counter('query_errors_total', 'Statements in tenants’ databases that failed.', ['tenant'])
  const waits = histogram(
    'connection_wait_seconds',
    'How long somebody waited for a connection; those who found one idle are not counted.'
  )
  const lookups = counter('lookups_total', 'Tenants that were looked up: known already, or asked of the catalog.', [
    'answer'
  ])

  return {
    answered: ({ slug }, status, milliseconds) => {
      const tenant = labels.of(slug)
      if (status === 'closed') return requests.inc({ tenant, status })
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
    waited: ({ slug }, milliseconds) => waits.observe({ tenant: labels.of(slug) }, milliseconds / 1000),
    lookedUp: known => lookups.inc({ answer: known ? 'known' : 'asked' })
  }
}
