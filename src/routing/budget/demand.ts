import type { TenantPool } from '../tenant-pool.js'
import type { Alarm } from './alarm.js'
import type { Books } from './books.js'
import type { Limits } from './limits.js'
import { Pressure } from './pressure.js'
import type { Slot } from './slot.js'
import { Turns } from './turns.js'

/** How long a tenant keeps a connection at least, whoever else waits: opening one takes about a fifth of that. */
const SLICE_MS = 20

/** Who wants connections, whose turn it is, and who has to give one up for it. */
export class Demand {
  readonly #books: Books
  readonly #limits: Limits
  readonly #alarm: Alarm
  /** Connections that are made room for at once at most: as many as may be opened at once. */
  readonly #gate: number
  readonly #turns = new Turns()
  readonly #pressure = new Pressure()

  constructor(books: Books, limits: Limits, alarm: Alarm, gate: number) {
    this.#books = books
    this.#limits = limits
    this.#alarm = alarm
    this.#gate = gate
  }

  get none(): boolean {
    return this.#turns.wanted === 0
  }

  /** The tenant whose turn it is; it goes to the end of the line. */
  take(): TenantPool | undefined {
    const pool = this.#turns.next
    if (pool) this.#turns.took(pool)
    return pool
  }

  /** Says again how many more connections the tenant wants, after anything that may have changed it. */
  note(pool: TenantPool, now: number): void {
    const unserved = pool.waiters.size - pool.opening
    if (unserved <= 0) {
      this.#turns.note(pool, 0, 0)
      return
    }
    this.#alarm.at(pool.ceiling.changesAfter(now), true)
    const room = now < pool.ceiling.pausedUntil ? 0 : this.#limits.roomOf(pool, now)
    const wants = Math.max(0, Math.min(unserved, room))
    const share = this.#limits.shareOf(pool, now) - pool.active
    const entitled = Math.min(wants, Math.max(0, pool.urgent, share))
    const short = this.#pressure.on(now)
    if (short && entitled < wants) this.#alarm.at(this.#pressure.until, true)
    this.#turns.note(pool, short ? entitled : wants, entitled)
  }

  /** Whether a connection will come for somebody inside a transaction without anybody giving theirs back. */
  canServe(pool: TenantPool, now: number): boolean {
    if (pool.opening > pool.urgent) return true
    const free = this.#limits.coming(now) + this.#books.idle.size
    return this.#limits.roomOf(pool, now) > 0 && free > this.#turns.urgentWanted
  }

  /** The idle connection that is to make room next, if one has to. One that is handed on waits for the gate. */
  victim(now: number): Slot | undefined {
    const oldest = this.#books.idle.first?.value
    const coming = this.#limits.coming(now)
    if (this.#turns.next?.repoint && this.#books.opening >= this.#gate) return undefined
    if (!oldest || coming >= Math.min(this.#turns.wanted, this.#gate)) return undefined
    if (this.#pressure.isYoung(oldest.idleSince, now)) {
      if (coming >= this.#turns.entitled) {
        this.#alarm.at(this.#pressure.agesAt(oldest.idleSince), true)
        return undefined
      }
      this.#pressure.lost(now, this.#gate)
    }
    return oldest
  }

  /** Whose a connection becomes that its tenant has to give up: nobody's, where it must be closed. The heir had its turn then. */
  heir({ pool, connection, retireAt }: Slot, now: number): TenantPool | undefined {
    const { next } = this.#turns
    if (next === pool || !next?.repoint || connection?.inDoubt) return undefined
    if (now >= retireAt || this.#limits.coming(now) < 0 || this.#books.opening >= this.#gate) return undefined
    return this.take()
  }

  /** Whether a tenant gives up a connection for others although its own requests wait. */
  yields({ pool, openedAt }: Slot, now: number): boolean {
    if (now - openedAt < SLICE_MS) return false
    if (pool.active > this.#limits.shareOf(pool, now) && this.#pressure.repay(now)) return true
    const other = this.#turns.next
    if (!other || other === pool || this.#books.idle.size > 0) return false
    if (this.#limits.coming(now) >= Math.min(this.#turns.wanted, this.#gate)) return false
    return other.active === 0 || pool.active > other.active + 1
  }
}
