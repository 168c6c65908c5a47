import type { RoutedConnection } from '../../engines/routing.js'
import type { Lease } from '../lease.js'
import { Chain } from './chain.js'
import { Waiter } from './waiter.js'

/** Everybody who waits for a connection: in turn inside a tenant, and in order of arrival for the deadline that all have. */
export class Line {
  readonly #patienceMs: number
  readonly #all = new Chain<Waiter>()

  constructor(patienceMs: number) {
    this.#patienceMs = patienceMs
  }

  get length(): number {
    return this.#all.size
  }

  /** When the first of them has waited long enough. */
  get deadline(): number {
    return this.#all.first ? this.#all.first.value.since + this.#patienceMs : Number.POSITIVE_INFINITY
  }

  join(lease: Lease, since: number, urgent: boolean): Promise<RoutedConnection> {
    return new Promise((give, refuse) => {
      const waiter = new Waiter(lease, since, urgent, give, refuse)
      const { waiters } = lease.pool
      if (urgent) waiters.prepend(waiter.ofTenant)
      else waiters.append(waiter.ofTenant)
      this.#all.append(waiter.ofServer)
      if (urgent) lease.pool.urgent += 1
      lease.waiting += 1
    })
  }

  leave(waiter: Waiter): void {
    const { pool, lease, urgent } = waiter
    pool.waiters.remove(waiter.ofTenant)
    this.#all.remove(waiter.ofServer)
    if (urgent) pool.urgent -= 1
    lease.waiting -= 1
  }

  /** Those who have waited too long. */
  late(now: number): Waiter[] {
    return now < this.deadline ? [] : this.#all.values().filter(({ since }) => now - since >= this.#patienceMs)
  }

  /** The tenants in which somebody waits. */
  pools(): Set<Waiter['pool']> {
    return new Set(this.#all.values().map(({ pool }) => pool))
  }
}
