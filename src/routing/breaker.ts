import { SaasctlError } from '../errors.js'

/** So many failures in a row open it; a single lost connection is daily life. */
const FAILURES = 3
const SHORTEST_MS = 500
const LONGEST_MS = 15_000

/**
 * Stops asking what does not answer: a server's crash is one event for its thousand tenants, not a thousand time-outs. While
 * open, one try at a time is let through when its pause is over; the pause doubles with each that fails.
 */
export class Breaker {
  readonly #what: string
  #failures = 0
  #closedAgainAt = 0
  #probing = false

  constructor(what: string) {
    this.#what = what
  }

  get open(): boolean {
    return this.#failures >= FAILURES
  }

  /** Runs the act unless the breaker is open: TENANT_DOWN then, with the seconds until the next try. */
  async run<T>(act: () => Promise<T>): Promise<T> {
    const probe = this.open
    if (probe) {
      const pause = this.#closedAgainAt - performance.now()
      if (pause > 0 || this.#probing) throw down(this.#what, pause)
      this.#probing = true
    }
    try {
      const result = await act()
      this.#failures = 0
      return result
    } catch (error) {
      if (error instanceof SaasctlError && error.code === 'SERVER_UNREACHABLE') this.#failed()
      throw error
    } finally {
      if (probe) this.#probing = false
    }
  }

  #failed(): void {
    this.#failures += 1
    if (!this.open) return
    const pause = Math.min(SHORTEST_MS * 2 ** (this.#failures - FAILURES), LONGEST_MS)
    this.#closedAgainAt = performance.now() + pause
  }
}

function down(what: string, pauseMs: number): SaasctlError {
  return new SaasctlError('TENANT_DOWN', `${what} does not answer; it is left alone for a moment.`, {
    data: { retryAfterSeconds: Math.max(1, Math.ceil(pauseMs / 1000)) },
    retryable: true
  })
}
