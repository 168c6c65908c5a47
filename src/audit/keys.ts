import type { Context } from '../operations/kind.js'
import { rotateSigningKey, type Signer } from '../secrets/signing.js'

/** A new signing key. That it was changed, from which to which, is in the trail before it happens. */
export function rotateKey(context: Context): Promise<Signer> {
  return rotateSigningKey(context.keys, (retired, next) =>
    context.catalog.transaction(context.actor, async tx =>
      tx.audit({ chain: 'key', action: 'key.rotate', subject: `key:${retired}`, payload: { retired, next } })
    )
  )
}
