import { setTimeout as sleep } from 'node:timers/promises'

/** Whoever waits for a lock on a table makes all wait who come after: no single wait is longer, whatever a file asks for. */
export const LONGEST_WAIT_MS = 2_000

const SHORTEST_PAUSE_MS = 200
const LONGEST_PAUSE_MS = 1_200

/**
 * How long one file waits for locks in all: in waits of two seconds at most, with pauses of random length between them, in
 * which those who queued behind it pass. `totalMs` of 0 is for ever.
 */
export class LockPatience {
  readonly #until: number

  constructor(totalMs: number) {
    this.#until = totalMs === 0 ? Number.POSITIVE_INFINITY : performance.now() + totalMs
  }

  /** For the next try, in milliseconds; never 0, which is for ever to a server. */
  get waitMs(): number {
    return Math.max(1, Math.min(LONGEST_WAIT_MS, Math.round(this.#until - performance.now())))
  }

  /** After a wait that was in vain: pauses, and says whether there is time for another. */
  async again(random = Math.random): Promise<boolean> {
    const pause = SHORTEST_PAUSE_MS + random() * (LONGEST_PAUSE_MS - SHORTEST_PAUSE_MS)
    if (performance.now() + pause >= this.#until) return false
    await sleep(pause)
    return true
  }
}
