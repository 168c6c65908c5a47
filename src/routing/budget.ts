import type { RoutedConnection } from '../engines/routing.js'
import { SaasctlError } from '../errors.js'
import { Alarm } from './budget/alarm.js'
import { Ceiling } from './budget/ceiling.js'
import { Chain } from './budget/chain.js'
import { budgetClosed, heldAndFull, queueFull, tookTooLong } from './budget/refusals.js'
import { Slot } from './budget/slot.js'
import { Turns } from './budget/turns.js'
import { Waiter } from './budget/waiter.js'
import type { Lease } from './lease.js'
import { TenantPool, type TenantPoolOptions } from './tenant-pool.js'

export interface BudgetOptions {
  /** The server, for messages. */
  name: string
  /** Connections to it at most, all tenants together: hard. */
  max: number
  /** Connections that are being opened at once at most; 6. More only make each other slower. */
  gate?: number
  /** How long somebody waits for a connection, in milliseconds; 5,000. */
  acquireMs?: number
  /** How many wait at most per tenant; 256. */
  queue?: number
  /** When an idle connection is closed, in milliseconds; 60,000, a little less for some. */
  idleMs?: number
  /** When a connection is closed however busy it is, in milliseconds; half an hour, a little less for some. */
  lifetimeMs?: number
  /** Told how long somebody had to wait; not called when a connection was idle. */
  waited?(milliseconds: number, tenant: string): void
}

export interface BudgetStatistics {
  max: number
  /** Less than `max` for a while after the server had no more. */
  ceiling: number
  /** Everything that the server may count, those that are being opened and closed included. */
  total: number
  idle: number
  lent: number
  opening: number
  closing: number
  waiting: number
  tenants: number
  opens: number
  /** Opens that failed. */
  failures: number
  /** Opens that failed because the server, database or login had no connection left. */
  refusals: number
  evictions: number
  /** Connections taken from a busy tenant for one that had none or fewer. */
  yields: number
  timeouts: number
}

/** How long a tenant keeps its only connection busy while another has none: opening one takes about a fifth of that. */
const SLICE_MS = 20

/**
 * The connections of this process to one server: a hard cap, shared by all tenants. No connection is guaranteed to anybody.
 * An idle one is given up, least recently used first, for whoever needs one; a tenant with more makes way for one with less;
 * no tenant gets more than three quarters. Every act costs the same for any number of tenants.
 */
export class ServerBudget {
  readonly name: string
  readonly #gate: number
  readonly #acquireMs: number
  readonly #queue: number
  readonly #idleMs: number
  readonly #lifetimeMs: number
  readonly #waited: BudgetOptions['waited']
  readonly #ceiling: Ceiling
  readonly #turns = new Turns()
  /** All idle connections, least recently used first. */
  readonly #idle = new Chain<Slot>()
  readonly #waiting = new Chain<Waiter>()
  readonly #pools = new Set<TenantPool>()
  readonly #alarm = new Alarm(() => this.#ring())
  readonly #counts = { opens: 0, failures: 0, refusals: 0, evictions: 0, yields: 0, timeouts: 0 }
  #total = 0
  #lent = 0
  #opening = 0
  #closing = 0
  #closed = false
  #shrinking: Array<() => void> = []

  constructor(options: BudgetOptions) {
    this.name = options.name
    this.#ceiling = new Ceiling(options.max)
    this.#gate = options.gate ?? 6
    this.#acquireMs = options.acquireMs ?? 5_000
    this.#queue = options.queue ?? 256
    this.#idleMs = options.idleMs ?? 60_000
    this.#lifetimeMs = options.lifetimeMs ?? 1_800_000
    this.#waited = options.waited
  }

  /** A pool for one way to one tenant's database. Nothing is opened yet. */
  tenant(options: TenantPoolOptions): TenantPool {
    if (this.#closed) throw budgetClosed(this.name)
    const pool = new TenantPool(this, options)
    this.#pools.add(pool)
    return pool
  }

  get statistics(): BudgetStatistics {
    return {
      max: this.#ceiling.max,
      ceiling: this.#ceiling.at(performance.now()),
      total: this.#total,
      idle: this.#idle.size,
      lent: this.#lent,
      opening: this.#opening,
      closing: this.#closing,
      waiting: this.#waiting.size,
      tenants: this.#pools.size,
      ...this.#counts
    }
  }

  /**
   * Another share of the server. More is used at once; for less, idle connections are closed first and others as they come
   * back. Resolves when no more than `max` are open.
   */
  resize(max: number): Promise<void> {
    this.#ceiling.max = max
    while (this.#total - this.#closing > max && this.#idle.first) this.close(this.#idle.first.value)
    this.#renew()
    if (this.#total <= max) return Promise.resolve()
    return new Promise(resolve => this.#shrinking.push(resolve))
  }

  /** Drains every pool. Resolves when no connection is open. */
  async shutdown(deadlineMs: number): Promise<void> {
    this.#closed = true
    await Promise.all([...this.#pools].map(pool => pool.drain(deadlineMs, budgetClosed(this.name))))
    this.#alarm.stop()
  }

  /** For leases: a connection of the lease's tenant. */
  lend(lease: Lease): Promise<RoutedConnection> {
    const idle = lease.pool.idle.last?.value
    return idle ? Promise.resolve(this.#hand(idle, lease)) : this.#wait(lease)
  }

  /** For leases: the connection comes back. */
  release(slot: Slot, doubt: boolean): void {
    if (slot.state !== 'lent') return
    const now = performance.now()
    if (doubt || slot.connection?.inDoubt || this.#mustGo(slot, now)) this.close(slot)
    else this.#settle(slot, now)
  }

  /** For leases: whoever waited has ended. */
  giveUp(waiter: Waiter, reason: unknown): void {
    this.#leave(waiter)
    this.#note(waiter.pool, performance.now())
    waiter.refuse(reason)
  }

  /** For pools: the limit is another. */
  changed(pool: TenantPool): void {
    const now = performance.now()
    this.#note(pool, now)
    this.#pump(now)
  }

  /** For pools: it was drained and will not be asked again. */
  forget(pool: TenantPool): void {
    this.#pools.delete(pool)
  }

  /** Lets a connection go, idle or lent. It is counted until the server has let it go too. */
  close(slot: Slot): void {
    const { connection } = slot
    if (!connection || (slot.state !== 'idle' && slot.state !== 'lent')) return
    this.#move(slot, 'closing')
    this.#note(slot.pool, performance.now())
    void connection.close().then(() => this.#gone(slot))
  }

  #wait(lease: Lease): Promise<RoutedConnection> {
    const { pool } = lease
    const now = performance.now()
    const urgent = lease.inTransaction
    if (urgent && !this.#canServe(pool, now)) return Promise.reject(heldAndFull(pool.name))
    if (pool.waiters.size >= this.#queue) return Promise.reject(queueFull(pool.name, pool.waiters.size))
    return new Promise((give, refuse) => {
      const waiter = new Waiter(lease, now, urgent, give, refuse)
      if (urgent) pool.waiters.prepend(waiter.ofTenant)
      else pool.waiters.append(waiter.ofTenant)
      if (urgent) pool.urgent += 1
      this.#waiting.append(waiter.ofServer)
      this.#alarm.at(now + this.#acquireMs, true)
      this.#note(pool, now)
      this.#pump(now)
    })
  }

  /** Whether a connection will come without anybody giving theirs back. */
  #canServe(pool: TenantPool, now: number): boolean {
    if (pool.opening > pool.urgent) return true
    const free = this.#ceiling.at(now) - this.#total + this.#closing + this.#idle.size
    return pool.count < this.#limitOf(pool, now) && free > this.#turns.urgentWanted
  }

  /** A connection is free: for whoever waits in its tenant, or for a tenant with less, or for later. */
  #settle(slot: Slot, now: number): void {
    const { pool } = slot
    const waiter = pool.waiters.first?.value
    if (!waiter) {
      slot.idleSince = now
      this.#move(slot, 'idle')
      this.#alarm.at(Math.min(now + this.#idleMs, slot.retireAt), false)
      if (pool.draining) pool.trim()
    } else if (this.#yields(pool, now)) {
      this.#counts.yields += 1
      return this.close(slot)
    } else {
      this.#leave(waiter)
      this.#waited?.(now - waiter.since, pool.name)
      waiter.give(this.#hand(slot, waiter.lease))
    }
    if (this.#turns.wanted > 0) {
      this.#note(pool, now)
      this.#pump(now)
    }
  }

  #hand(slot: Slot, lease: Lease): RoutedConnection {
    if (slot.state !== 'lent') this.#move(slot, 'lent')
    lease.took(slot)
    return slot.connection as RoutedConnection
  }

  /** Whether a tenant that others wait beside gives up a connection although its own requests wait. */
  #yields(pool: TenantPool, now: number): boolean {
    const other = this.#turns.next
    if (!other || other === pool || this.#idle.size > 0) return false
    const coming = this.#ceiling.at(now) - this.#total + this.#closing
    if (coming >= Math.min(this.#turns.wanted, this.#gate)) return false
    if (pool.active > other.active + 1) return true
    return other.active === 0 && now - (other.waiters.first?.value.since ?? now) > SLICE_MS
  }

  #mustGo(slot: Slot, now: number): boolean {
    const { pool } = slot
    return now >= slot.retireAt || this.#total - this.#closing > this.#ceiling.at(now) || pool.active > pool.ceiling.at(now)
  }

  /** Opens what may be opened, and makes room for what may be opened next. */
  #pump(now: number): void {
    if (this.#turns.wanted === 0) return
    if (now < this.#ceiling.pausedUntil) return this.#alarm.at(this.#ceiling.pausedUntil, true)
    const ceiling = this.#ceiling.at(now)
    for (let pool = this.#turns.next; pool && this.#total < ceiling && this.#opening < this.#gate; pool = this.#turns.next) {
      this.#turns.took(pool)
      this.#open(pool, now)
    }
    let coming = ceiling - this.#total + this.#closing
    while (coming < Math.min(this.#turns.wanted, this.#gate) && this.#idle.first) {
      this.#counts.evictions += 1
      coming += 1
      this.close(this.#idle.first.value)
    }
  }

  #open(pool: TenantPool, now: number): void {
    const slot = new Slot(pool)
    this.#total += 1
    this.#opening += 1
    pool.opening += 1
    this.#counts.opens += 1
    this.#note(pool, now)
    pool.open().then(
      connection => this.#opened(slot, connection),
      error => this.#failed(slot, error)
    )
  }

  #opened(slot: Slot, connection: RoutedConnection): void {
    const now = performance.now()
    slot.connection = connection
    slot.retireAt = now + this.#lifetimeMs * (0.9 + Math.random() / 10)
    this.#ceiling.opened()
    slot.pool.ceiling.opened()
    this.#move(slot, 'lent')
    connection.onEnd(() => this.#ended(slot))
    this.release(slot, false)
    this.#pump(now)
  }

  #failed(slot: Slot, error: unknown): void {
    const { pool } = slot
    const now = performance.now()
    this.#counts.failures += 1
    this.#move(slot, 'gone')
    const full = error instanceof SaasctlError ? error.data?.['full'] : undefined
    if (full === 'server') this.#ceiling.refused(this.#total, now, error)
    else if (full === 'tenant') pool.ceiling.refused(pool.count, now, error)
    else this.#refuse(pool, error)
    if (full) this.#counts.refusals += 1
    this.#renew()
  }

  /** Whoever waits for nothing but this hears of it; where other connections may still come back, only the first in line. */
  #refuse(pool: TenantPool, error: unknown): void {
    for (let link = pool.waiters.first; link; link = pool.waiters.first) {
      this.#leave(link.value)
      link.value.refuse(error)
      if (pool.active > 0) return
    }
  }

  /** The server or the network ended it. */
  #ended(slot: Slot): void {
    if (slot.state === 'idle' || slot.state === 'lent') this.#gone(slot)
  }

  #gone(slot: Slot): void {
    const now = performance.now()
    this.#move(slot, 'gone')
    this.#note(slot.pool, now)
    if (this.#total <= this.#ceiling.max) for (const resolve of this.#shrinking.splice(0)) resolve()
    slot.pool.settled()
    this.#pump(now)
  }

  /** From one state to the next, in every book. */
  #move(slot: Slot, state: 'idle' | 'lent' | 'closing' | 'gone'): void {
    const { pool } = slot
    switch (slot.state) {
      case 'opening':
        this.#opening -= 1
        pool.opening -= 1
        break
      case 'idle':
        this.#idle.remove(slot.ofServer)
        pool.idle.remove(slot.ofTenant)
        break
      case 'lent':
        this.#lent -= 1
        pool.lent -= 1
        break
      case 'closing':
        this.#closing -= 1
        pool.closing -= 1
        break
      case 'gone':
        return
    }
    slot.state = state
    if (state === 'idle') {
      this.#idle.append(slot.ofServer)
      pool.idle.append(slot.ofTenant)
    } else if (state === 'lent') {
      this.#lent += 1
      pool.lent += 1
    } else if (state === 'closing') {
      this.#closing += 1
      pool.closing += 1
    } else {
      this.#total -= 1
    }
  }

  #leave(waiter: Waiter): void {
    waiter.pool.waiters.remove(waiter.ofTenant)
    this.#waiting.remove(waiter.ofServer)
    if (waiter.urgent) waiter.pool.urgent -= 1
  }

  /** Says again how many more connections the tenant wants, after anything that may have changed it. */
  #note(pool: TenantPool, now: number): void {
    const unserved = pool.waiters.size - pool.opening
    if (unserved <= 0) return this.#turns.note(pool, 0)
    const { pausedUntil } = pool.ceiling
    if (now < pausedUntil) {
      this.#alarm.at(pausedUntil, true)
      return this.#turns.note(pool, 0)
    }
    this.#turns.note(pool, Math.max(0, Math.min(unserved, this.#limitOf(pool, now) - pool.count)))
  }

  #limitOf(pool: TenantPool, now: number): number {
    const ceiling = this.#ceiling.at(now)
    return Math.min(pool.ceiling.at(now), Math.max(1, ceiling - Math.floor(ceiling / 4)))
  }

  /** After a limit changed: everybody who waits is looked at again. */
  #renew(): void {
    const now = performance.now()
    for (const pool of new Set(this.#waiting.values().map(waiter => waiter.pool))) this.#note(pool, now)
    this.#pump(now)
  }

  /** Refuses who waited too long, closes what was idle or open too long, tries again after a pause. */
  #ring(): void {
    const now = performance.now()
    for (let link = this.#waiting.first; link && now - link.value.since >= this.#acquireMs; link = this.#waiting.first) {
      const { pool, since } = link.value
      this.#counts.timeouts += 1
      this.#waited?.(now - since, pool.name)
      this.giveUp(link.value, tookTooLong(pool.name, now - since, this.#ceiling.refusal ?? pool.ceiling.refusal))
    }
    let next = Number.POSITIVE_INFINITY
    for (const slot of this.#idle.values()) {
      const expires = Math.min(slot.idleSince + this.#idleMs, slot.retireAt)
      if (now >= expires) this.close(slot)
      else next = Math.min(next, expires)
    }
    if (this.#waiting.first) this.#alarm.at(this.#waiting.first.value.since + this.#acquireMs, true)
    // A second is precise enough, and one ring serves all that fall into it.
    this.#alarm.at(Math.max(next, now + Math.min(1_000, this.#idleMs)), false)
    this.#renew()
  }
}
