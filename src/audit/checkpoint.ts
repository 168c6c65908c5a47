import { createHash } from 'node:crypto'
import { canonical, type Json } from '../canonical.js'
import { type CheckpointRow, headsWithin, isDue, keepCheckpoint, openCheckpoint } from '../catalog/checkpoints.js'
import { readInstance } from '../catalog/instance.js'
import { asSaasctlError } from '../errors.js'
import type { Context } from '../operations/kind.js'
import { signer } from '../secrets/signing.js'
import { merkleRoot } from './merkle.js'

/** What a checkpoint's body says. */
export interface CheckpointBody extends Record<string, Json> {
  type: 'saasctl audit checkpoint'
  v: 1
  number: number
  at: string
  /** The catalog's incarnation. */
  catalog: string
  /** SHA-256 of the body of the checkpoint before. */
  prev: string | null
  /** How many chains there are, and the root of the Merkle tree over where they end. */
  chains: number
  root: string
  keyId: string
}

/**
 * Signs where every chain ends now, with a key that the database does not hold. From then on nothing before it can be
 * changed unseen. KEY_MISSING where the key store has no place for a signing key.
 */
export async function makeCheckpoint(context: Context): Promise<CheckpointRow> {
  const { sign, keyId } = await signer(context.keys)
  return context.catalog.transaction(context.actor, async tx => {
    const { incarnation: catalog } = await readInstance(tx)
    const { number, at, prev } = await openCheckpoint(tx)
    const { root, chains } = await merkleRoot(headsWithin(tx, number))
    const said: CheckpointBody = {
      type: 'saasctl audit checkpoint',
      v: 1,
      number,
      at: at.toISOString(),
      catalog,
      prev,
      chains,
      root,
      keyId
    }
    const body = canonical(said)
    const row = { number, at, body, signature: sign(Buffer.from(body)), keyId }
    await keepCheckpoint(tx, row)
    return row
  })
}

/**
 * Makes one when the newest is older than this and the trail went on since; called once a minute by every worker. A worker
 * without a place for signing keys makes none.
 */
export async function checkpointDue(context: Context, everyMs: number): Promise<boolean> {
  if (!(await isDue(context.catalog, everyMs / 1000))) return false
  try {
    await makeCheckpoint(context)
    return true
  } catch (thrown) {
    if (asSaasctlError(thrown).code === 'KEY_MISSING') return false
    throw thrown
  }
}

/** What names a checkpoint to the next one. */
export function bodyHash(body: string): string {
  return createHash('sha256').update(body).digest('hex')
}

/** The body of a checkpoint, or undefined for a text that is none. */
export function readBody(text: string): CheckpointBody | undefined {
  try {
    const said = JSON.parse(text) as CheckpointBody
    const right = said.type === 'saasctl audit checkpoint' && said.v === 1 && canonical(said) === text
    return right ? said : undefined
  } catch {
    return undefined
  }
}
