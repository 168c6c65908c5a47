import { createHash } from 'node:crypto'
import { SaasctlError } from '../errors.js'
import { quoteInput } from '../names.js'

/** The two master keys. A router holds `routing` alone. */
export type MasterName = 'routing' | 'control'

/** Every key is 32 random bytes: AES-256. */
export const KEY_BYTES = 32

/**
 * Where keys live, apart from the catalog: whoever has one of the two has nothing. Every verb may be repeated.
 * Names are `control`, `routing`, `audit/<date>` or `tenant/<uuid>`. All verbs are asynchronous, so that a KMS or Vault fits.
 */
export interface KeyStore {
  /** The key's 32 bytes, a copy of the caller's own. Throws KEY_MISSING, with where it was looked for in the hint. */
  read(name: string): Promise<Buffer>
  /** The key, made now if there is none. Two first starts at the same moment get the same key. */
  ensure(name: string): Promise<Buffer>
  /** Takes in a key made elsewhere. The same key again is OK; another key in its place is KEY_REFUSED. */
  add(name: string, key: Buffer): Promise<void>
  /** What was sealed with the key is lost for ever when this returns. A key already gone is OK. */
  destroy(name: string): Promise<void>
  /** Names in alphabetical order. */
  list(): Promise<string[]>
  /** For messages: `folder /etc/saasctl/keys`. */
  describe(): string
}

const NAME = /^[a-z0-9][a-z0-9-]{0,63}(?:\/[a-z0-9][a-z0-9-]{0,63})?$/

/** No dots, one slash at most: a key's name cannot lead out of the store. */
export function isKeyName(name: string): boolean {
  return NAME.test(name)
}

export function checkKeyName(name: string): void {
  if (isKeyName(name)) return
  throw new SaasctlError('INVALID_INPUT', `${quoteInput(name)} cannot be the name of a key.`, {
    hint: 'Use a-z, 0-9 and dashes, with one slash at most, as in "control" or "tenant/<id>".'
  })
}

/** Names a key without giving it away: the first 16 hex digits of its SHA-256. */
export function keyId(key: Buffer): string {
  return createHash('sha256').update(key).digest('hex').slice(0, 16)
}

/** Base64 of 32 bytes, either alphabet, padding optional; undefined for anything else. */
export function decodeKey(text: string): Buffer | undefined {
  return /^[A-Za-z0-9+/_-]{43}=?$/.test(text) ? Buffer.from(text, 'base64') : undefined
}

/** Refuses a key that is not 32 bytes, and one that differs from what the store already holds under its name. */
export function refuseOtherKey(name: string, key: Buffer, held: Buffer | undefined, where: string): void {
  if (key.length !== KEY_BYTES) {
    throw new SaasctlError('KEY_REFUSED', `The key "${name}" has ${key.length} bytes instead of ${KEY_BYTES}.`)
  }
  if (held === undefined || held.equals(key)) return
  throw new SaasctlError(
    'KEY_REFUSED',
    `The key "${name}" to be stored is ${keyId(key)}, but ${where} already holds ${keyId(held)} under this name.`,
    {
      hint: 'A key is never replaced, what it sealed would be lost. Use an empty key store, or find out which is right.'
    }
  )
}
