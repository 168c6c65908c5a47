/** `calm` works fewer databases at once while their server answers slower than it did; `full` always as many as it may. */
export const paces = ['calm', 'full'] as const
export type PaceName = (typeof paces)[number]

/** So many logins make one look at the server, or those of a second where there are fewer. */
const LOGINS = 8
const LONGEST_MS = 1_000
/** Logins that take less than this share of the time are not what weighs on a server. */
const RARE = 0.25

/** The usual login of a look may take so many times that of the quietest look; from `SLOWER` on it is too much. */
const AS_QUIET = 1.25
const SLOWER = 1.5

/**
 * How many databases of one server a lane works at once. What a login takes says how busy the server is, whoever keeps it busy:
 * most of it is the server's own processor. The first look is at one database at a time; then one more after each look that was
 * as quiet, and fewer, in proportion, after one that was slower.
 */
export class Pace {
  readonly #most: number
  readonly #clock: () => number
  readonly #adapts: boolean
  #width: number
  #logins: number[] = []
  #since: number
  #quietest = Number.POSITIVE_INFINITY

  constructor(most: number, name: PaceName = 'calm', clock: () => number = () => performance.now()) {
    this.#most = most
    this.#clock = clock
    this.#since = clock()
    this.#adapts = name === 'calm'
    this.#width = this.#adapts ? 1 : most
  }

  get most(): number {
    return this.#most
  }

  get width(): number {
    return this.#width
  }

  /** What one login took, in milliseconds. */
  loggedIn(ms: number): void {
    if (!this.#adapts) return
    this.#logins.push(ms)
    if (this.#logins.length === LOGINS) this.#look()
  }

  /** To be called from time to time: where logins are rare, the work between them is what takes long. */
  lookIfDue(): void {
    if (this.#logins.length > 0 && this.#clock() - this.#since >= LONGEST_MS) this.#look()
  }

  #look(): void {
    const logins = this.#logins.sort((a, b) => a - b)
    const usual = logins[Math.floor(logins.length / 2)] ?? 0
    const spent = logins.reduce((sum, ms) => sum + ms, 0)
    const rare = logins.length < LOGINS && spent < RARE * (this.#clock() - this.#since)
    this.#logins = []
    this.#since = this.#clock()
    this.#quietest = Math.min(this.#quietest, usual)
    const slower = usual / this.#quietest
    if (slower > SLOWER) this.#width = Math.max(1, Math.floor((this.#width * AS_QUIET) / slower))
    else if (slower <= AS_QUIET) this.#width = rare ? this.#most : Math.min(this.#most, this.#width + 1)
  }
}
