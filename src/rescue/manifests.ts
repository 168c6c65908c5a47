import { type Manifest, openManifest } from '../archives/manifest.js'
import type { TenantKey } from '../archives/tenant-key.js'
import { knownBackups, storesOfBackups } from '../catalog/recoveries.js'
import { asSaasctlError } from '../errors.js'
import type { Context } from '../operations/kind.js'
import { keyId } from '../secrets/keystore.js'
import { readWhole } from '../stores/store.js'

/** A backup in a store that the catalog does not know, with what its manifest says. */
export interface FoundBackup {
  store: string
  /** The manifest's own name. */
  object: string
  keyId: string
  manifest: Manifest
}

const NAME = /^backups\/([0-9a-f-]{36})\/([0-9a-f-]{36})-\d+\.manifest$/

/** A store that did not answer: nothing is said of what is in it. */
export interface SilentStore {
  store: string
  message: string
}

/**
 * Backups that were made after the catalog's own, in every store that it has ever used. One that does not open, because its
 * tenant's key was destroyed or is not ours, is nobody's here. A store that cannot be used now is told, and no trouble for
 * the rest.
 */
export async function unknownBackups(context: Context): Promise<{ backups: FoundBackup[]; silent: SilentStore[] }> {
  const { catalog, stores, keys } = context
  const held = new Set(await keys.list())
  const backups: FoundBackup[] = []
  const silent: SilentStore[] = []
  for (const url of new Set([(await stores.open(stores.usual)).url, ...(await storesOfBackups(catalog))])) {
    try {
      for (const found of await unknownIn(context, url, held)) backups.push(found)
    } catch (thrown) {
      const error = asSaasctlError(thrown)
      if (!/^(?:STORE|CONFIG)_/.test(error.code)) throw thrown
      silent.push({ store: url, message: error.message })
    }
  }
  return { backups, silent }
}

async function unknownIn({ catalog, stores, keys }: Context, url: string, held: Set<string>): Promise<FoundBackup[]> {
  const store = await stores.open(url)
  const listed: Array<{ object: string; tenantId: string; id: string }> = []
  for await (const { name } of store.list('backups/')) {
    const [, tenantId, id] = NAME.exec(name) ?? []
    if (tenantId !== undefined && id !== undefined) listed.push({ object: name, tenantId, id })
  }
  const known = await knownBackups(
    catalog,
    listed.map(({ id }) => id)
  )
  const found: FoundBackup[] = []
  for (const { object, tenantId, id } of listed) {
    const name = `tenant/${tenantId}`
    if (known.has(id) || !held.has(name)) continue
    const bytes = await keys.read(name)
    const key: TenantKey = { id: keyId(bytes), bytes }
    const manifest = opened(key, id, await readWhole(store, object))
    if (manifest?.tenant.id === tenantId) found.push({ store: url, object, keyId: key.id, manifest })
  }
  return found
}

function opened(key: TenantKey, id: string, sealed: Buffer): Manifest | undefined {
  try {
    return openManifest(key, id, sealed)
  } catch {
    return undefined
  }
}
