import { SaasctlError } from '../errors.js'

/** So many failures in a row open it; a single lost connection is daily life. */
const FAILURES = 3
const SHORTEST_MS = 500
/** Whoever is back is served within this, and a dead server is asked no more than twice a second. */
const LONGEST_MS = 4_000

export interface BreakerOptions {
  /** Whose absence it is, as a sentence's subject. */
  what: string
  /** Whether an error says that nobody is there. */
  counts(error: unknown): boolean
  /** How many different callers must have failed before it opens; 1. Among many, one alone may be its own trouble. */
  callers?: number
  /** It opened, by this error, or closed. Not called again while it stays so. */
  onChange?(open: boolean, error: unknown): void
  /** Milliseconds that only grow; for tests, `performance.now`. */
  clock?(): number
}

/**
 * Stops asking what does not answer: a server's crash is one event for its thousand tenants, not a thousand time-outs. While
 * open, one try at a time is let through when its pause is over; the pause doubles with each that fails.
 */
export class Breaker {
  readonly #options: BreakerOptions
  readonly #now: () => number
  readonly #failed = new Set<string>()
  #failures = 0
  #open = false
  #closedAgainAt = 0
  #probing = false
  #reason: unknown

  constructor(options: BreakerOptions) {
    this.#options = options
    this.#now = options.clock ?? (() => performance.now())
  }

  get open(): boolean {
    return this.#open
  }

  /** Runs the act unless the breaker is open: TENANT_DOWN then, with the seconds until the next try. */
  async run<T>(act: () => Promise<T>, caller = ''): Promise<T> {
    const probe = this.#open
    if (probe) {
      const pause = this.#closedAgainAt - this.#now()
      if (pause > 0 || this.#probing) throw this.#down(pause)
      this.#probing = true
    }
    try {
      const result = await act()
      this.#answered()
      return result
    } catch (error) {
      if (this.#options.counts(error)) this.#missed(error, caller)
      throw error
    } finally {
      if (probe) this.#probing = false
    }
  }

  #answered(): void {
    this.#failures = 0
    this.#failed.clear()
    if (!this.#open) return
    this.#open = false
    this.#options.onChange?.(false, undefined)
  }

  #missed(error: unknown, caller: string): void {
    const { callers = 1, onChange } = this.#options
    this.#failures += 1
    if (this.#failed.size < callers) this.#failed.add(caller)
    if (this.#failures < FAILURES || this.#failed.size < callers) return
    const opened = !this.#open
    const tries = opened ? 0 : this.#failures - FAILURES
    if (opened) this.#failures = FAILURES
    this.#open = true
    this.#reason = error
    this.#closedAgainAt = this.#now() + Math.min(SHORTEST_MS * 2 ** tries, LONGEST_MS)
    if (opened) onChange?.(true, error)
  }

  #down(pauseMs: number): SaasctlError {
    return new SaasctlError('TENANT_DOWN', `${this.#options.what} does not answer; it is left alone for a moment.`, {
      data: { retryAfterSeconds: Math.max(1, Math.ceil(pauseMs / 1000)) },
      cause: this.#reason,
      retryable: true
    })
  }
}
