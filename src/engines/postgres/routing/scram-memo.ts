import QuickLRU from 'quick-lru'
import type { Secret } from '../../../secret.js'
import { deriveKeys, type Keys } from '../scram.js'

/** Logins whose keys are remembered at least: some 300 bytes each. */
const REMEMBERED = 10_000

interface Remembered {
  password: Secret
  salt: string
  iterations: number
  keys: Promise<Keys>
}

/**
 * The keys behind passwords, so that the 4,096 rounds of hashing are paid at a login's first connection and not at each:
 * they are half of what a connection costs the client. As secret as the passwords themselves, and they never leave here.
 */
export class ScramMemo {
  readonly #memo = new QuickLRU<string, Remembered>({ maxSize: REMEMBERED })

  /** The keys of one login's password. Another version, password, salt or count is hashed anew. */
  keys(login: string, version: number, password: Secret, salt: string, iterations: number): Promise<Keys> {
    const name = `${version}:${login}`
    const known = this.#memo.get(name)
    if (known?.salt === salt && known.iterations === iterations && known.password.reveal() === password.reveal()) {
      return known.keys
    }
    const keys = deriveKeys(password, salt, iterations)
    this.#memo.set(name, { password, salt, iterations, keys })
    return keys
  }
}
