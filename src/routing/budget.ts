import type { RoutedConnection } from '../engines/routing.js'
import { SaasctlError } from '../errors.js'
import { Alarm } from './budget/alarm.js'
import { Books } from './budget/books.js'
import { Demand } from './budget/demand.js'
import { Limits } from './budget/limits.js'
import { Line } from './budget/line.js'
import { type BudgetOptions, type BudgetStatistics, defaults } from './budget/options.js'
import { budgetClosed, heldAndFull, queueFull, tookTooLong } from './budget/refusals.js'
import { repointed } from './budget/repointed.js'
import type { Slot } from './budget/slot.js'
import type { Waiter } from './budget/waiter.js'
import type { Lease } from './lease.js'
import { TenantPool, type TenantPoolOptions } from './tenant-pool.js'

/**
 * The connections of this process to one server: a hard cap, shared by all tenants. No connection is guaranteed to anybody.
 * An idle one is given up, least recently used first, for whoever needs one. While they are short, each tenant has a right
 * to a share by its plan; no tenant ever gets more than three quarters. Every act costs the same for any number of tenants.
 */
export class ServerBudget {
  readonly name: string
  readonly #options: Required<Omit<BudgetOptions, 'name' | 'max'>>
  readonly #books = new Books()
  readonly #limits: Limits
  readonly #line: Line
  readonly #demand: Demand
  readonly #pools = new Set<TenantPool>()
  readonly #alarm = new Alarm(() => this.#ring())
  readonly #counts = { opens: 0, repoints: 0, failures: 0, refusals: 0, evictions: 0, yields: 0, timeouts: 0 }
  #shrinking: Array<() => void> = []
  #closed = false

  constructor({ name, max, ...options }: BudgetOptions) {
    this.name = name
    this.#options = { ...defaults, ...options }
    this.#limits = new Limits(this.#books, max)
    this.#line = new Line(this.#options.acquireMs)
    this.#demand = new Demand(this.#books, this.#limits, this.#alarm, this.#options.gate)
  }

  /** A pool for one way to one tenant's database. Nothing is opened yet. */
  tenant(options: TenantPoolOptions): TenantPool {
    if (this.#closed) throw budgetClosed(this.name)
    const pool = new TenantPool(this, options)
    this.#pools.add(pool)
    return pool
  }

  get statistics(): BudgetStatistics {
    const ceiling = this.#limits.server.at(performance.now())
    const [max, waiting, tenants] = [this.#limits.server.max, this.#line.length, this.#pools.size]
    return { max, ceiling, waiting, tenants, ...this.#books.counts, ...this.#counts }
  }

  /**
   * Another share of the server. More is used at once; for less, idle connections are closed first and others as they come
   * back. Resolves when no more than `max` are open.
   */
  resize(max: number): Promise<void> {
    const { idle } = this.#books
    this.#limits.server.max = max
    while (this.#limits.coming(performance.now()) < 0 && idle.first) this.close(idle.first.value)
    this.#renew()
    if (this.#books.total <= max) return Promise.resolve()
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
    for (let idle = lease.pool.idle.last; idle; idle = lease.pool.idle.last) {
      if (!idle.value.connection?.inDoubt) return Promise.resolve(this.#hand(idle.value, lease))
      this.close(idle.value)
    }
    return this.#wait(lease)
  }

  /** For leases: the connection comes back. One that is gone already is fine. */
  release(slot: Slot, doubt: boolean): void {
    if (slot.state !== 'lent') return
    const settling = doubt ? undefined : slot.connection?.settling
    if (settling) return void settling.then(() => this.release(slot, false))
    const now = performance.now()
    const over = now >= slot.retireAt || this.#limits.exceededBy(slot, now)
    if (doubt || over || slot.connection?.inDoubt) this.close(slot)
    else this.#settle(slot, now)
  }

  /** For pools: whoever waited has ended. */
  giveUp(waiter: Waiter, reason: unknown): void {
    this.#line.leave(waiter)
    this.#demand.note(waiter.pool, performance.now())
    waiter.refuse(reason)
  }

  /** For pools: the limit is another. */
  changed(pool: TenantPool): void {
    const now = performance.now()
    this.#books.weigh(pool)
    this.#demand.note(pool, now)
    this.#pump(now)
  }

  /** For pools: it was drained and will not be asked again. */
  forget(pool: TenantPool): void {
    this.#pools.delete(pool)
  }

  /** For pools: lets a connection go, idle or lent. It is counted until the server has let it go too. */
  close(slot: Slot): void {
    const { connection } = slot
    if (!connection || (slot.state !== 'idle' && slot.state !== 'lent')) return
    this.#books.move(slot, 'closing')
    this.#demand.note(slot.pool, performance.now())
    void connection.close().then(() => this.#gone(slot))
  }

  #wait(lease: Lease): Promise<RoutedConnection> {
    const { pool } = lease
    const now = performance.now()
    const urgent = lease.inTransaction
    if (urgent && !this.#demand.canServe(pool, now)) return Promise.reject(heldAndFull(pool.name))
    if (pool.waiters.size >= this.#options.queue) return Promise.reject(queueFull(pool.name, pool.waiters.size))
    const given = this.#line.join(lease, now, urgent)
    this.#alarm.at(this.#line.deadline, true)
    this.#demand.note(pool, now)
    this.#pump(now)
    return given
  }

  /** A connection is free: for whoever waits in its tenant, or for a tenant with less, or for later. */
  #settle(slot: Slot, now: number): void {
    const { pool } = slot
    const waiter = pool.waiters.first?.value
    if (!waiter) {
      slot.idleSince = now
      this.#books.move(slot, 'idle')
      this.#alarm.at(slot.expiresAt, false)
      if (pool.draining) pool.trim()
    } else if (this.#demand.yields(slot, now)) {
      this.#counts.yields += 1
      this.#giveUp(slot, now)
    } else {
      this.#line.leave(waiter)
      waiter.give(this.#hand(slot, waiter.lease))
    }
    if (this.#demand.none) return
    this.#demand.note(pool, now)
    this.#pump(now)
  }

  #hand(slot: Slot, lease: Lease): RoutedConnection {
    if (slot.state !== 'lent') this.#books.move(slot, 'lent')
    lease.took(slot)
    return slot.connection as RoutedConnection
  }

  /** Opens what may be opened, and makes room for what may be opened next. */
  #pump(now: number): void {
    if (this.#demand.none) return
    const { server } = this.#limits
    this.#alarm.at(server.changesAfter(now), true)
    if (now < server.pausedUntil) return
    const room = Math.min(server.at(now) - this.#books.total, this.#options.gate - this.#books.opening)
    for (let opened = 0; opened < room; opened += 1) {
      const pool = this.#demand.take()
      if (!pool) break
      this.#open(pool, now)
    }
    for (let idle = this.#demand.victim(now); idle; idle = this.#demand.victim(now)) {
      this.#counts.evictions += 1
      this.#giveUp(idle, now)
    }
  }

  /** A tenant's connection makes room for others: the one whose turn it is gets it as it stands, where the engine can do that. */
  #giveUp(slot: Slot, now: number): void {
    const { pool, connection, retireAt } = slot
    const heir = this.#demand.heir(slot, now)
    if (!heir?.repoint || !connection) {
      this.close(slot)
      return
    }
    this.#counts.repoints += 1
    this.#books.move(slot, 'gone')
    this.#await(this.#books.begin(heir, retireAt), repointed(connection, heir.repoint), now)
    this.#demand.note(pool, now)
    this.#settled(pool)
  }

  #open(pool: TenantPool, now: number): void {
    this.#counts.opens += 1
    this.#await(this.#books.begin(pool), pool.open(), now)
  }

  #await(slot: Slot, connection: Promise<RoutedConnection>, now: number): void {
    this.#demand.note(slot.pool, now)
    connection.then(
      connection => this.#opened(slot, connection),
      error => this.#failed(slot, error)
    )
  }

  #opened(slot: Slot, connection: RoutedConnection): void {
    const now = performance.now()
    const { idleMs, lifetimeMs } = this.#options
    // Not all that were opened together are closed together.
    const share = 0.9 + Math.random() / 10
    slot.connection = connection
    slot.openedAt = now
    slot.idleMs = idleMs * share
    slot.retireAt = Math.min(slot.retireAt, now + lifetimeMs * share)
    this.#limits.server.opened()
    slot.pool.opened()
    this.#books.move(slot, 'lent')
    connection.onEnd(() => {
      if (slot.state === 'idle' || slot.state === 'lent') this.#gone(slot)
    })
    this.release(slot, false)
    this.#pump(now)
  }

  #failed(slot: Slot, error: unknown): void {
    const { pool } = slot
    const now = performance.now()
    const full = error instanceof SaasctlError ? error.data?.['full'] : undefined
    this.#counts.failures += 1
    if (full) this.#counts.refusals += 1
    this.#books.move(slot, 'gone')
    if (full === 'server') this.#limits.server.refused(this.#books.total, now, error)
    else if (full === 'tenant') pool.ceiling.refused(pool.count, now, error)
    else this.#refuse(pool, error)
    pool.failing = true
    this.#demand.note(pool, now)
    this.#settled(pool)
    this.#renew()
  }

  /** Whoever waits for nothing but this hears of it; where other connections may still come back, only the first in line. */
  #refuse(pool: TenantPool, error: unknown): void {
    for (let link = pool.waiters.first; link; link = pool.active > 0 ? undefined : pool.waiters.first) {
      this.#line.leave(link.value)
      link.value.refuse(error)
    }
  }

  #gone(slot: Slot): void {
    const now = performance.now()
    this.#books.move(slot, 'gone')
    this.#demand.note(slot.pool, now)
    this.#settled(slot.pool)
    this.#pump(now)
  }

  /** Fewer are open: perhaps few enough for who waits for that. */
  #settled(pool: TenantPool): void {
    if (this.#books.total <= this.#limits.server.max) for (const resolve of this.#shrinking.splice(0)) resolve()
    pool.settled()
  }

  /** After a limit changed: everybody who waits is looked at again. */
  #renew(): void {
    const now = performance.now()
    for (const pool of this.#line.pools()) this.#demand.note(pool, now)
    this.#pump(now)
  }

  /** Refuses who waited too long, closes what was idle or open too long, tries again after a pause. */
  #ring(): void {
    const now = performance.now()
    for (const waiter of this.#line.late(now)) {
      const { pool, since } = waiter
      this.#counts.timeouts += 1
      const why = this.#limits.server.refusal ?? pool.ceiling.refusal
      this.giveUp(waiter, tookTooLong(pool.name, now - since, why))
    }
    if (this.#line.length > 0) this.#alarm.at(this.#line.deadline, true)
    let next = Number.POSITIVE_INFINITY
    for (const slot of this.#books.idle.values()) {
      if (now >= slot.expiresAt) this.close(slot)
      else next = Math.min(next, slot.expiresAt)
    }
    this.#alarm.at(next, false)
    this.#renew()
  }
}
