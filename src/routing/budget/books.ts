import type { TenantPool } from '../tenant-pool.js'
import { Chain } from './chain.js'
import { Slot, type SlotState } from './slot.js'

/** Where every connection stands, counted for the server and for its tenant. The one place in which a slot changes state. */
export class Books {
  /** Everything that the server may count: from before a connection is opened until it has been let go. */
  total = 0
  opening = 0
  lent = 0
  closing = 0
  /** Least recently used first. */
  readonly idle = new Chain<Slot>()

  /** The plans' connections of all tenants that have one open: what shares are shares of. */
  weight = 0

  get counts() {
    const { total, opening, lent, closing, idle } = this
    return { total, opening, lent, closing, idle: idle.size }
  }

  /** A connection is about to be opened, or to become the tenant's: `retireAt` is its end then. */
  begin(pool: TenantPool, retireAt?: number): Slot {
    const slot = new Slot(pool, retireAt)
    this.total += 1
    this.#count(slot, 'opening', 1)
    this.weigh(pool)
    return slot
  }

  move(slot: Slot, state: Exclude<SlotState, 'opening'>): void {
    if (slot.state === 'gone') return
    this.#count(slot, slot.state, -1)
    slot.state = state
    this.#count(slot, state, 1)
    this.weigh(slot.pool)
  }

  /** After the plan's number changed, or the tenant got its first connection or lost its last. */
  weigh(pool: TenantPool): void {
    const weight = pool.active > 0 ? pool.ceiling.max : 0
    this.weight += weight - pool.weight
    pool.weight = weight
  }

  #count(slot: Slot, state: SlotState, by: 1 | -1): void {
    if (state === 'gone') {
      this.total -= by
    } else if (state !== 'idle') {
      this[state] += by
      slot.pool[state] += by
    } else if (by === 1) {
      this.idle.append(slot.ofServer)
      slot.pool.idle.append(slot.ofTenant)
    } else {
      this.idle.remove(slot.ofServer)
      slot.pool.idle.remove(slot.ofTenant)
    }
  }
}
