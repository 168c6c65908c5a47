import type { TenantPool } from '../tenant-pool.js'
import { Chain } from './chain.js'

/**
 * Whose turn it is for the next connection. Three circles, each served round robin: tenants in which somebody inside a
 * transaction waits, tenants that have no connection, and tenants that have some. A tenant that floods stands in the last,
 * at one place however many of its requests wait.
 */
export class Turns {
  readonly #urgent = new Chain<TenantPool>()
  readonly #without = new Chain<TenantPool>()
  readonly #growing = new Chain<TenantPool>()
  #wanted = 0
  #entitled = 0
  #urgentWanted = 0

  /** Connections that would be lent at once if they were there. */
  get wanted(): number {
    return this.#wanted
  }

  /** Of these, what tenants want within their share: they may take for it what others have just used. */
  get entitled(): number {
    return this.#entitled
  }

  get urgentWanted(): number {
    return this.#urgentWanted
  }

  get next(): TenantPool | undefined {
    return (this.#urgent.first ?? this.#without.first ?? this.#growing.first)?.value
  }

  /** Notes how many more connections the tenant wants. It keeps its place while it stays in the same circle. */
  note(pool: TenantPool, wants: number, entitled: number): void {
    this.#wanted += wants - pool.wants
    this.#entitled += entitled - pool.entitled
    pool.entitled = entitled
    const urgent = Math.min(wants, pool.urgent)
    this.#urgentWanted += urgent - pool.urgentWants
    pool.wants = wants
    pool.urgentWants = urgent
    const circle = wants === 0 ? undefined : this.#circleOf(pool)
    if (circle === pool.turn.chain) return
    if (circle) circle.append(pool.turn)
    else pool.turn.chain?.remove(pool.turn)
  }

  /** The tenant had its turn: it goes to the end of its circle. */
  took(pool: TenantPool): void {
    pool.turn.chain?.append(pool.turn)
  }

  #circleOf(pool: TenantPool): Chain<TenantPool> {
    if (pool.urgent > 0) return this.#urgent
    return pool.active === 0 ? this.#without : this.#growing
  }
}
