import { markKeysBackedUp } from '../catalog/adopt.js'
import { readInstance } from '../catalog/instance.js'
import { masterKeysInUse } from '../catalog/logins.js'
import type { Context } from '../operations/kind.js'
import type { Secret } from '../secret.js'
import { backupKeys as write } from '../secrets/key-backup.js'
import { keyId } from '../secrets/keystore.js'

export interface KeyLine {
  name: string
  /** The first 16 hex digits of the key's SHA-256; null when the key is not there. */
  id: string | null
  /** Data keys in the catalog that only this key opens. */
  wraps: number
  /** Data keys that were wrapped with another key of this name: they cannot be opened. */
  lost: number
}

export interface KeyStatus {
  store: string
  backedUpAt: Date | null
  keys: KeyLine[]
}

/** Which keys there are, what hangs on each, and when they were backed up. */
export async function keyStatus(context: Context): Promise<KeyStatus> {
  const { keys, catalog } = context
  const [names, uses, instance] = await Promise.all([keys.list(), masterKeysInUse(catalog), readInstance(catalog)])
  const wanted = [...new Set([...names, ...uses.map(use => use.purpose)])].sort()
  const lines = await Promise.all(
    wanted.map(async name => {
      const id = names.includes(name) ? keyId(await keys.read(name)) : null
      const own = uses.filter(use => use.purpose === name)
      const count = (mine: boolean) =>
        own.filter(use => (use.masterKeyId === id) === mine).reduce((sum, use) => sum + use.count, 0)
      return { name, id, wraps: count(true), lost: count(false) }
    })
  )
  return { store: keys.describe(), backedUpAt: instance.keysBackedUpAt, keys: lines }
}

/** All keys as one text that only the passphrase opens. The catalog remembers that it was made; doctor asks for it until then. */
export async function backupKeys(context: Context, passphrase: Secret): Promise<string> {
  const text = await write(context.keys, passphrase)
  await markKeysBackedUp(context.catalog, context.actor)
  return text
}
