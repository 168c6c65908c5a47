import type { RoutedConnection } from '../engines/routing.js'
import type { SaasctlError } from '../errors.js'
import { Ceiling } from './budget/ceiling.js'
import { Chain, Link } from './budget/chain.js'
import { wayClosed } from './budget/refusals.js'
import type { Slot } from './budget/slot.js'
import type { Waiter } from './budget/waiter.js'
import type { ServerBudget } from './budget.js'
import { type Borrower, Lease } from './lease.js'

export interface TenantPoolOptions {
  /** The tenant, for messages and metrics. */
  name: string
  /** Connections at most: the plan's. */
  connections: number
  /** Opens one; the budget calls it when there is room. */
  open(): Promise<RoutedConnection>
  /** Makes another tenant's connection this one's instead, where the engine can. */
  repoint?: ((former: RoutedConnection) => Promise<RoutedConnection>) | undefined
}

/**
 * One tenant's connections by one way (server, database, login). Costs a few hundred bytes while nothing is open. When the
 * way changes, a pool for the new one is made beside it and this one is drained.
 */
export class TenantPool {
  readonly name: string
  readonly budget: ServerBudget
  readonly open: () => Promise<RoutedConnection>
  /** The plan's limit, or less after the server refused this tenant's login or database. */
  readonly ceiling: Ceiling

  /** The rest is the budget's own book-keeping. Idle connections: the last one was used last, and is lent first. */
  readonly idle = new Chain<Slot>()
  readonly waiters = new Chain<Waiter>()
  readonly turn = new Link<TenantPool>(this)
  readonly leases = new Chain<Lease>()
  opening = 0
  lent = 0
  closing = 0
  /** Waiters inside a transaction. */
  urgent = 0
  /** More connections that are wanted, as `Turns` last heard. */
  wants = 0
  entitled = 0
  urgentWants = 0
  /** Its part in the weight of all tenants that have a connection. */
  weight = 0

  /** The last attempt to get a connection failed. */
  failing = false

  readonly #repoint: TenantPoolOptions['repoint']
  #draining: Promise<number> | undefined
  #drained: (() => void) | undefined
  #cut = 0

  constructor(budget: ServerBudget, { name, connections, open, repoint }: TenantPoolOptions) {
    this.budget = budget
    this.name = name
    this.open = open
    this.#repoint = repoint
    this.ceiling = new Ceiling(connections)
  }

  /** Not after a failure: to refuse a login on a connection that is there already, MariaDB takes a second of its time. */
  get repoint(): TenantPoolOptions['repoint'] {
    return this.failing ? undefined : this.#repoint
  }

  /** Connections that count against the limits. */
  get count(): number {
    return this.active + this.closing
  }

  /** Connections that serve the tenant, or are about to. */
  get active(): number {
    return this.opening + this.lent + this.idle.size
  }

  /** No lease and no connection: forgetting the pool loses nothing. */
  get unused(): boolean {
    return this.leases.size === 0 && this.count === 0
  }

  get draining(): boolean {
    return this.#draining !== undefined
  }

  /** The limit changed. What is above it is closed: idle ones at once, the others when they come back. */
  set connections(connections: number) {
    this.ceiling.max = connections
    while (this.active > connections && this.idle.first) this.budget.close(this.idle.first.value)
    this.budget.changed(this)
  }

  /** The right to borrow connections until `end`. Throws ROUTER_BUDGET once the pool drains: the new way must be taken. */
  lease(borrower: Borrower = {}): Lease {
    if (this.#draining) throw wayClosed(this.name)
    const lease = new Lease(this, borrower)
    this.leases.append(lease.ofTenant)
    return lease
  }

  /**
   * Gives no more leases. Those that exist go on until the deadline, then they are cut: what they hold is closed, and they
   * are told `reason`. Resolves when no connection is open, with the number of leases that were cut. Called again it may
   * bring the deadline forward.
   */
  drain(deadlineMs: number, reason: SaasctlError = wayClosed(this.name)): Promise<number> {
    const deadline = setTimeout(() => this.#cutAll(reason), deadlineMs)
    this.#draining ??= new Promise<void>(resolve => {
      this.#drained = resolve
    }).then(() => this.#cut)
    this.trim()
    const drained = this.#draining.finally(() => clearTimeout(deadline))
    this.settled()
    return drained
  }

  /** For the budget: a draining pool keeps no more idle connections than there are leases that may still ask for one. */
  trim(): void {
    const useful = Math.max(0, this.leases.size - this.lent)
    while (this.idle.size > useful && this.idle.first) this.budget.close(this.idle.first.value)
  }

  /** For the lease that has ended. */
  leaseEnded(lease: Lease): void {
    this.leases.remove(lease.ofTenant)
    if (lease.waiting > 0) {
      const its = this.waiters.values().filter(waiter => waiter.lease === lease)
      for (const waiter of its) this.budget.giveUp(waiter, lease.ended)
    }
    if (this.#draining) {
      this.trim()
      this.settled()
    }
  }

  /** For the budget: a connection was opened, or turned to this tenant. */
  opened(): void {
    this.failing = false
    this.ceiling.opened()
  }

  /** For the budget: a connection is gone; perhaps it was the last that a drain waits for. */
  settled(): void {
    if (this.#drained && this.unused) {
      this.budget.forget(this)
      this.#drained()
    }
  }

  #cutAll(reason: SaasctlError): void {
    for (const lease of this.leases.values()) {
      this.#cut += 1
      lease.end(reason)
    }
  }
}
