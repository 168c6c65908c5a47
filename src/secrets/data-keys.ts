import { createSecretKey, type KeyObject, randomBytes } from 'node:crypto'
import { open, type Place, seal } from './envelope.js'
import { KEY_BYTES, type KeyStore, type MasterName } from './keystore.js'
import { openMaster, openMasterById } from './masters.js'

/** What the catalog keeps of a data key: useless without the master key of the same name as its purpose. */
export interface DataKeyRow {
  databaseId: string
  purpose: MasterName
  version: number
  wrapped: Buffer
  masterKeyId: string
}

/** An opened data key. The KeyObject prints no bytes. */
export interface DataKey {
  databaseId: string
  purpose: MasterName
  version: number
  key: KeyObject
}

/** Makes one of a database's two data keys: the row to store, and the key for immediate use. */
export async function newDataKey(
  keystore: KeyStore,
  { databaseId, purpose, version = 1 }: { databaseId: string; purpose: MasterName; version?: number }
): Promise<{ row: DataKeyRow; dataKey: DataKey }> {
  const master = await openMaster(keystore, purpose)
  const bytes = randomBytes(KEY_BYTES)
  const wrapped = seal(master.wrap, placeOf(databaseId, purpose, version), bytes)
  return {
    row: { databaseId, purpose, version, wrapped, masterKeyId: master.id },
    dataKey: { databaseId, purpose, version, key: createSecretKey(bytes) }
  }
}

/** Throws KEY_MISSING without the master key, and KEY_WRONG when it is another or the row is not as it was stored. */
export async function openDataKey(keystore: KeyStore, row: DataKeyRow): Promise<DataKey> {
  const { databaseId, purpose, version } = row
  const what = `The ${purpose} data key of database ${databaseId}`
  const master = await openMasterById(keystore, purpose, row.masterKeyId, what)
  const bytes = open(master.wrap, placeOf(databaseId, purpose, version), row.wrapped)
  return { databaseId, purpose, version, key: createSecretKey(bytes) }
}

function placeOf(databaseId: string, purpose: MasterName, version: number): Place {
  return { owner: databaseId, purpose: `${purpose} data key`, version }
}
