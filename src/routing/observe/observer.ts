import type { Reason } from '../resolve/refusal.js'
import type { Route } from '../route.js'

/** Who watches the router. Told of things as they happen, in the context of whoever did them; must neither throw nor wait. */
export interface Observer {
  /** A request's tenant was looked for; there is no route when it named none. */
  resolved?(milliseconds: number, route: Route | undefined): void
  /** A tenant's request was answered; `closed` without an answer: its client went away, or took the socket for its own. */
  answered?(route: Route, status: number | 'closed', milliseconds: number): void
  /** A request led to no tenant. */
  refused?(reason: Reason): void
  /** A tenant's request was turned away: TENANT_RATE, TENANT_CROWDED, or what its database's trouble is called. */
  turnedAway?(route: Route, code: string): void
  /** A statement in a tenant's database has had its answer. */
  queried?(route: Route, milliseconds: number, failed: boolean, statement: string | undefined): void
  /** Somebody had to wait for a connection of this tenant. */
  waited?(route: Route, milliseconds: number): void
  /** A tenant was looked up: known already, or asked of the catalog. */
  lookedUp?(known: boolean): void
}

const events = ['resolved', 'answered', 'refused', 'turnedAway', 'queried', 'waited', 'lookedUp'] as const

/** Several observers as one; where none of them is interested, nobody is asked. */
export function together(observers: readonly Observer[]): Observer {
  const all: Observer = {}
  for (const event of events) join(all, event, observers)
  return all
}

function join<Event extends keyof Observer>(all: Observer, event: Event, observers: readonly Observer[]): void {
  const [first, ...others] = observers.map(observer => observer[event]).filter(tell => tell !== undefined)
  if (!first) return
  const tell = (...told: unknown[]) => {
    for (const each of [first, ...others]) (each as (...told: unknown[]) => void)(...told)
  }
  all[event] = others.length === 0 ? first : (tell as Observer[Event])
}
