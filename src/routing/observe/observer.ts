import type { Reason } from '../resolve/refusal.js'
import type { Route } from '../route.js'

/** Who watches the router. Told of things as they happen; must neither throw nor wait. */
export interface Observer {
  /** A tenant's request was answered. */
  answered?(route: Route, status: number, milliseconds: number): void
  /** A request led to no tenant. */
  refused?(reason: Reason): void
  /** A tenant's request was turned away: TENANT_RATE, TENANT_CROWDED, or what its database's trouble is called. */
  turnedAway?(route: Route, code: string): void
  /** A statement in a tenant's database has had its answer. */
  queried?(route: Route, milliseconds: number, failed: boolean): void
  /** Somebody had to wait for a connection of this tenant. */
  waited?(milliseconds: number, slug: string): void
  /** A tenant was looked up: known already, or asked of the catalog. */
  lookedUp?(known: boolean): void
}

type Told = { [K in keyof Observer]-?: Parameters<NonNullable<Observer[K]>> }

/** Several observers as one; with none of them interested in something, nobody is asked. */
export function together(observers: Observer[]): Observer {
  const [only, ...others] = observers
  if (!only || others.length === 0) return only ?? {}
  const all: Observer = {}
  const join = <K extends keyof Observer>(name: K) => {
    const interested = observers.filter(observer => observer[name])
    if (interested.length === 0) return
    const tell = (...told: Told[K]) => {
      for (const observer of interested) (observer[name] as (...told: Told[K]) => void).apply(observer, told)
    }
    all[name] = tell as Observer[K]
  }
  join('answered')
  join('refused')
  join('turnedAway')
  join('queried')
  join('waited')
  join('lookedUp')
  return all
}
