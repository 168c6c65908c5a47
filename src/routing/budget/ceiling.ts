/** How long the server's refusal is believed before as many connections as before are tried again. */
const LOWERED_MS = 5_000
const FIRST_PAUSE_MS = 25
const LONGEST_PAUSE_MS = 1_000

/** How many connections there may be: what was agreed, or less for a while after the server itself had no more. */
export class Ceiling {
  #max: number
  #lowered = Number.POSITIVE_INFINITY
  #loweredUntil = 0
  #pausedUntil = 0
  #pauseMs = 0
  /** The server's own words, the last time that it refused. */
  refusal: unknown

  constructor(max: number) {
    this.#max = max
  }

  get max(): number {
    return this.#max
  }

  set max(max: number) {
    this.#max = max
  }

  /** The highest count that is allowed now. */
  at(now: number): number {
    if (now >= this.#loweredUntil) return this.#max
    return Math.min(this.#max, this.#lowered)
  }

  /** Until when nothing new is opened. */
  get pausedUntil(): number {
    return this.#pausedUntil
  }

  /** When more will be allowed without anybody doing anything: the end of a pause or of a lowered ceiling. */
  changesAfter(now: number): number {
    if (now < this.#pausedUntil) return this.#pausedUntil
    return now < this.#loweredUntil ? this.#loweredUntil : Number.POSITIVE_INFINITY
  }

  /** The server had no connection left while `open` were ours. Each refusal in a row doubles the pause before the next try. */
  refused(open: number, now: number, error: unknown): void {
    this.refusal = error
    this.#lowered = Math.max(1, open)
    this.#loweredUntil = now + LOWERED_MS * (1 + Math.random() / 5)
    this.#pauseMs = Math.min(LONGEST_PAUSE_MS, this.#pauseMs === 0 ? FIRST_PAUSE_MS : this.#pauseMs * 2)
    this.#pausedUntil = now + this.#pauseMs * (0.5 + Math.random() / 2)
  }

  /** A connection was opened. */
  opened(): void {
    this.#pauseMs = 0
    this.#pausedUntil = 0
    this.refusal = undefined
  }
}
