import type { KeyObject } from 'node:crypto'
import type { Algorithm } from './algorithms.js'
import { Refusal } from './refusal.js'

/** A key that verifies one algorithm's signatures. */
export class VerifyingKey {
  readonly algorithm: Algorithm
  readonly material: KeyObject
  /** The issuer has taken it back: what it verified does not hold any more. */
  retired = false

  constructor(algorithm: Algorithm, material: KeyObject) {
    this.algorithm = algorithm
    this.material = material
  }
}

/**
 * One issuer's keys, and nobody else's: a cache by `kid` alone lets one issuer's key verify another's tokens
 * (CVE-2026-49998, CVE-2026-50202).
 */
export interface Keys {
  find(algorithm: Algorithm, kid: unknown, now: number): VerifyingKey | Refusal | Promise<VerifyingKey | Refusal>
  /** Undefined: what is known is good to use. A promise: come again when it resolves; it never rejects. */
  refresh(now: number): Promise<void> | undefined
  /** Whether keys found earlier still count. */
  serves(now: number): boolean
}

/** The one key of an issuer whose key is in the configuration. Its tokens need no `kid`, and one that they have says nothing. */
export class FixedKey implements Keys {
  readonly #keys: Map<Algorithm, VerifyingKey>

  constructor(algorithms: readonly Algorithm[], material: KeyObject) {
    this.#keys = new Map(algorithms.map(algorithm => [algorithm, new VerifyingKey(algorithm, material)]))
  }

  find(algorithm: Algorithm): VerifyingKey | Refusal {
    return this.#keys.get(algorithm) ?? new Refusal('unverified', 'jwt', 'The issuer has no key for this algorithm.')
  }

  refresh(): undefined {
    return undefined
  }

  serves(): boolean {
    return true
  }
}
