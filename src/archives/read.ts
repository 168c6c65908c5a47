import { PassThrough, pipeline, type Readable } from 'node:stream'
import type { BackupRow } from '../catalog/backups.js'
import { asSaasctlError, SaasctlError } from '../errors.js'
import type { Tools } from '../operations/kind.js'
import { readWhole } from '../stores/store.js'
import { decompressor } from './compress.js'
import { damaged, FrameOpener } from './frames.js'
import { type Manifest, openManifest } from './manifest.js'
import { readTenantKey } from './tenant-key.js'

type From = Pick<Tools, 'stores' | 'keys'>

/** A backup that is there, and what its manifest says of it. */
export interface Archive {
  manifest: Manifest
  /** Its content as the engine's `restore` wants it. Anything wrong destroys the stream with BACKUP_DAMAGED before it ends. */
  content(): Promise<Readable>
}

/**
 * Opens a backup for reading. BACKUP_DAMAGED when its manifest does not belong to the row, KEY_MISSING or KEY_WRONG without
 * its tenant's key, BACKUP_STATE for one that is not complete.
 */
export async function openArchive({ stores, keys }: From, row: BackupRow): Promise<Archive> {
  if (row.status !== 'complete' || row.manifest === null || row.keyId === null) throw notComplete(row)
  const store = await stores.open(row.store)
  const key = await readTenantKey(keys, row.tenantId, row.keyId)
  const manifest = openManifest(key, row.id, await gone(row, readWhole(store, row.manifest)))
  if (manifest.tenant.id !== row.tenantId || manifest.database.id !== row.databaseId) {
    throw damaged(row.id, 'its manifest names another tenant or database than the catalog')
  }
  return {
    manifest,
    content: async () => {
      const { name, salt } = manifest.object
      const sealed = await gone(row, store.get(name))
      const opener = new FrameOpener(key.bytes, row.id, Buffer.from(salt, 'hex'))
      const content = new PassThrough()
      pipeline([sealed, opener, ...decompressor(manifest.compression), content], () => {})
      return content
    }
  }
}

/** What is missing from a backup is said of the backup. */
async function gone<T>(row: BackupRow, reading: Promise<T>): Promise<T> {
  try {
    return await reading
  } catch (thrown) {
    const error = asSaasctlError(thrown)
    throw error.code === 'STORE_MISSING' ? damaged(row.id, error.message.replace(/\.$/, ''), error) : thrown
  }
}

export function notComplete({ id, status }: BackupRow): SaasctlError {
  return new SaasctlError('BACKUP_STATE', `Backup ${id} is ${status}, not complete.`, {
    hint: 'Choose one that is, see "saasctl backup list".'
  })
}
