/** How recently an idle connection was used for its loss to be felt: its tenant is likely to ask for it again. */
const YOUNG_MS = 1_000

/**
 * Whether connections are so short that tenants lose them between two requests. While they are, nobody grows beyond its
 * share, and for each connection that was lost like that, a tenant above its share gives one up. So a tenant that floods
 * shrinks to its share within a few of its own requests, and the others find their connections where they left them.
 */
export class Pressure {
  #until = 0
  #owed = 0

  /** When it ends, if nothing else happens. */
  get until(): number {
    return this.#until
  }

  isYoung(idleSince: number, now: number): boolean {
    return now - idleSince < YOUNG_MS
  }

  /** When a connection that has been idle since then is no longer young. */
  agesAt(idleSince: number): number {
    return idleSince + YOUNG_MS
  }

  on(now: number): boolean {
    return now < this.#until
  }

  /** A connection was taken from a tenant that had just used it. */
  lost(now: number, most: number): void {
    this.#owed = this.on(now) ? Math.min(this.#owed + 1, most) : 1
    this.#until = now + YOUNG_MS
  }

  /** Whether one is owed still; it is no longer then. */
  repay(now: number): boolean {
    if (!this.on(now) || this.#owed === 0) return false
    this.#owed -= 1
    return true
  }
}
