import type { TenantPool } from '../tenant-pool.js'
import type { Books } from './books.js'
import { Ceiling } from './ceiling.js'
import type { Slot } from './slot.js'

/** How many connections there may be, at the server and for each tenant, against what the books say there are. */
export class Limits {
  readonly server: Ceiling
  readonly #books: Books

  constructor(books: Books, max: number) {
    this.#books = books
    this.server = new Ceiling(max)
  }

  /** Connections that may be opened now, or as soon as those that are being closed are gone. */
  coming(now: number): number {
    return this.server.at(now) - this.#books.total + this.#books.closing
  }

  /** The same for one tenant: its plan's, but never more than three quarters of all, so that one alone cannot hold the rest up. */
  roomOf(pool: TenantPool, now: number): number {
    const all = this.server.at(now)
    return Math.min(pool.ceiling.at(now), Math.max(1, all - Math.floor(all / 4))) - pool.count
  }

  /** What a tenant has a right to while connections are short: by its plan, against those of all that have connections now. */
  shareOf(pool: TenantPool, now: number): number {
    const others = this.#books.weight - pool.weight
    return Math.max(1, Math.floor((this.server.at(now) * pool.ceiling.max) / (others + pool.ceiling.max)))
  }

  /** Whether the connection is one too many, since a limit was lowered. */
  exceededBy({ pool }: Slot, now: number): boolean {
    return this.coming(now) < 0 || pool.active > pool.ceiling.at(now)
  }
}
