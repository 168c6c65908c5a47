import type { CheckpointRow } from '../../catalog/checkpoints.js'
import { asSaasctlError } from '../../errors.js'
import type { KeyStore } from '../../secrets/keystore.js'
import { type SigningKey, signedBy, signingKeys } from '../../secrets/signing.js'
import { finding, type TrailFinding } from './finding.js'

/** A key that whoever verifies trusts; without dates when it comes from a file. */
export type TrustedKey = Pick<SigningKey, 'keyId' | 'publicKey'> & Partial<Pick<SigningKey, 'from' | 'until'>>

/** The clocks of the catalog and of whoever rotated the key may differ. */
const SLACK_MS = 3_600_000

/** The keys of this machine's own key store; none where it has no signing key, as at an auditor's. */
export async function ownKeys(keys: KeyStore): Promise<TrustedKey[]> {
  return signingKeys(keys).catch((thrown: unknown) => {
    const error = asSaasctlError(thrown)
    if (error.code === 'KEY_MISSING') return []
    throw error
  })
}

/** What is wrong with a checkpoint's signature. With no keys at all nothing can be said of it: `undefined`, as for a good one. */
export function checkSignature(row: CheckpointRow, keys: readonly TrustedKey[]): TrailFinding | undefined {
  if (keys.length === 0) return undefined
  const place = `checkpoint ${row.number}`
  const key = keys.find(({ keyId }) => keyId === row.keyId)
  if (!key) {
    const known = keys.map(({ keyId }) => keyId).join(', ')
    return finding('checkpoint.key', place, `The ${place} is signed with key ${row.keyId}, which is none of: ${known}.`)
  }
  if (!signedBy(key.publicKey, Buffer.from(row.body), row.signature)) {
    return finding('checkpoint.signature', place, `The ${place} does not have the signature of key ${key.keyId}.`)
  }
  const at = row.at.getTime()
  const early = key.from && at < key.from.getTime() - SLACK_MS
  if (!early && !(key.until && at > key.until.getTime() + SLACK_MS)) return undefined
  const when = row.at.toISOString()
  return finding('checkpoint.key', place, `The ${place} is of ${when}, when key ${key.keyId} did not sign.`)
}
