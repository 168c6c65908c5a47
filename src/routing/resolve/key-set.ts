import type { Algorithm, PublicAlgorithm } from './algorithms.js'
import { nameOf, type PublishedKeys, readKeys } from './jwks.js'
import { type Keys, VerifyingKey } from './keys.js'
import { Refusal } from './refusal.js'

/** Milliseconds. */
export interface KeySetTimes {
  /** A key that the issuer has taken back is refused after this at the latest. */
  maxAgeMs: number
  /** While the issuer does not answer, its last keys count for this long. */
  staleMs: number
  /** Between two questions, whatever unknown key ids tokens bring. */
  cooldownMs: number
  timeoutMs: number
}

/**
 * The keys that one issuer publishes at a URL. Asked again in the background at half of `maxAgeMs`, and waited for at
 * its end; while the issuer is down nobody waits twice in `maxAgeMs`. No timers: nothing runs when no request does.
 */
export class KeySet implements Keys {
  readonly #url: string
  readonly #algorithms: readonly PublicAlgorithm[]
  readonly #times: KeySetTimes
  #keys = new Map<string, VerifyingKey>()
  /** When the answer that is in use was asked for, when the last one, and when one that failed since. */
  #readAt = Number.NEGATIVE_INFINITY
  #askedAt = Number.NEGATIVE_INFINITY
  #failedAt = Number.NEGATIVE_INFINITY
  #asking: Promise<void> | undefined
  #failure: unknown

  constructor(url: string, algorithms: readonly PublicAlgorithm[], times: KeySetTimes) {
    this.#url = url
    this.#algorithms = algorithms
    this.#times = times
  }

  serves(now: number): boolean {
    return since(this.#readAt, now) < this.#times.staleMs
  }

  refresh(now: number): Promise<void> | undefined {
    const { maxAgeMs } = this.#times
    const age = since(this.#readAt, now)
    if (age < maxAgeMs / 2) return undefined
    const asking = this.#ask(now)
    const isDown = since(this.#failedAt, now) < maxAgeMs
    return this.serves(now) && (age < maxAgeMs || isDown) ? undefined : asking
  }

  find(algorithm: Algorithm, kid: unknown, now: number): VerifyingKey | Refusal | Promise<VerifyingKey | Refusal> {
    if (typeof kid !== 'string') return new Refusal('unverified', 'jwt', 'The token has no key id.')
    const name = nameOf(algorithm, kid)
    const waiting = this.refresh(now) ?? (this.#keys.has(name) ? undefined : this.#ask(now))
    return waiting ? waiting.then(() => this.#known(name, now)) : this.#known(name, now)
  }

  #known(name: string, now: number): VerifyingKey | Refusal {
    const key = this.#keys.get(name)
    if (key && this.serves(now)) return key
    if (!key && this.#failure === undefined) return new Refusal('unverified', 'jwt', 'The issuer has no such key.')
    return new Refusal('unavailable', 'jwt', `${this.#url} does not give its keys.`, this.#failure)
  }

  /** One question at a time and per cooldown. */
  #ask(now: number): Promise<void> | undefined {
    if (this.#asking === undefined && since(this.#askedAt, now) >= this.#times.cooldownMs) {
      this.#askedAt = now
      this.#asking = this.#read(now)
    }
    return this.#asking
  }

  async #read(now: number): Promise<void> {
    try {
      this.#adopt(await readKeys(this.#url, this.#algorithms, this.#times.timeoutMs))
      this.#readAt = now
      this.#failedAt = Number.NEGATIVE_INFINITY
      this.#failure = undefined
    } catch (error) {
      this.#failedAt = now
      this.#failure = error
    } finally {
      this.#asking = undefined
    }
  }

  /** A key that is published again stays the same object, so that tokens which it verified need no second look. */
  #adopt(published: PublishedKeys): void {
    const before = this.#keys
    this.#keys = new Map()
    for (const [name, { algorithm, material }] of published) {
      const known = before.get(name)
      this.#keys.set(name, known?.material.equals(material) ? known : new VerifyingKey(algorithm, material))
    }
    for (const [name, key] of before) key.retired = this.#keys.get(name) !== key
  }
}

/** A clock that was set back makes everything old, not young. */
function since(then: number, now: number): number {
  return now < then ? Number.POSITIVE_INFINITY : now - then
}
