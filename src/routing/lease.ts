import type { ConnectionSource, RoutedConnection } from '../engines/routing.js'
import type { SaasctlError } from '../errors.js'
import { Link } from './budget/chain.js'
import { leaseEnded } from './budget/refusals.js'
import type { Slot } from './budget/slot.js'
import type { TenantPool } from './tenant-pool.js'

/** Who borrows, and what it is told of; for messages, metrics and spans. */
export interface Borrower {
  /** The route of its request, as `GET /invoices`. */
  where?: string | undefined
  ran?: ConnectionSource['ran']
  /** Told how long it waited for a connection, in its own context; not when one was idle. Must not throw. */
  waited?: ((milliseconds: number) => void) | undefined
}

/** The right of one request or callback to borrow connections of one tenant, until it ends. */
export class Lease implements ConnectionSource {
  readonly pool: TenantPool
  readonly ofTenant = new Link<Lease>(this)
  /** Connections that it waits for; counted by the budget. */
  waiting = 0
  readonly #borrower: Borrower
  readonly #slots: Slot[] = []
  #over = false
  #reason: SaasctlError | undefined

  constructor(pool: TenantPool, borrower: Borrower) {
    this.pool = pool
    this.#borrower = borrower
  }

  get ran(): ConnectionSource['ran'] {
    return this.#borrower.ran
  }

  /** Connections that are borrowed now. */
  get held(): number {
    return this.#slots.length
  }

  /** Whether a borrowed connection stands inside a transaction: it will not come back while its holder waits for another. */
  get inTransaction(): boolean {
    return this.#slots.some(({ connection }) => connection?.inTransaction)
  }

  get ended(): SaasctlError | undefined {
    return this.#over ? (this.#reason ?? leaseEnded(this.pool.name, this.#borrower.where)) : undefined
  }

  /**
   * Borrows a connection: at once when one is idle, otherwise when it is the tenant's turn. ROUTER_BUDGET when that takes
   * too long, when too many wait already, or at once when the lease stands inside a transaction and none is free.
   */
  acquire(): Promise<RoutedConnection> {
    if (this.#over) return Promise.reject(this.ended)
    const { waiting } = this
    const given = this.pool.budget.lend(this)
    const { waited } = this.#borrower
    return waited && this.waiting > waiting ? timed(given, waited) : given
  }

  release(connection: RoutedConnection, doubt: boolean): void {
    const index = this.#slots.findIndex(slot => slot.connection === connection)
    const [slot] = index < 0 ? [] : this.#slots.splice(index, 1)
    if (slot) this.pool.budget.release(slot, doubt)
  }

  /**
   * Ends the lease; a second time is fine. What is still borrowed is closed, and what runs on it stopped: a handler did not
   * await it. Returns how many connections those were, for a warning. `reason` is what late users are told.
   */
  end(reason?: SaasctlError): number {
    if (this.#over) return 0
    this.#over = true
    this.#reason = reason
    const left = this.#slots.splice(0)
    for (const slot of left) this.pool.budget.release(slot, true)
    this.pool.leaseEnded(this)
    return left.length
  }

  /** For the budget alone: the lease has got this connection. */
  took(slot: Slot): void {
    this.#slots.push(slot)
  }
}

async function timed(
  given: Promise<RoutedConnection>,
  waited: (milliseconds: number) => void
): Promise<RoutedConnection> {
  const from = performance.now()
  try {
    return await given
  } finally {
    waited(performance.now() - from)
  }
}
