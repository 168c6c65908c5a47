import { SaasctlError } from '../errors.js'
import { type KeyStore, keyId } from '../secrets/keystore.js'

/** The key of one tenant's backups, and its id. The bytes encrypt nothing themselves: each use derives a key of its own. */
export interface TenantKey {
  id: string
  bytes: Buffer
}

const nameOf = (tenantId: string) => `tenant/${tenantId}`

/** The tenant's key, made now: for its first backup. Never for a later one, that would hide the loss of the key. */
export async function makeTenantKey(keys: KeyStore, tenantId: string): Promise<TenantKey> {
  const bytes = await keys.ensure(nameOf(tenantId))
  return { id: keyId(bytes), bytes }
}

/** The key that backups were sealed with. KEY_MISSING when it is gone, KEY_WRONG when another has its name. */
export async function readTenantKey(keys: KeyStore, tenantId: string, id: string): Promise<TenantKey> {
  const bytes = await keys.read(nameOf(tenantId))
  const found = keyId(bytes)
  if (found === id) return { id, bytes }
  throw new SaasctlError(
    'KEY_WRONG',
    `The backups of tenant ${tenantId} are sealed with key ${id}, the key store (${keys.describe()}) holds ${found}.`,
    { hint: `Bring key ${id} back from a key backup: saasctl key restore` }
  )
}
