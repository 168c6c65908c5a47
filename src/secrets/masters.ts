import { createSecretKey, hkdfSync, type KeyObject } from 'node:crypto'
import { SaasctlError } from '../errors.js'
import { KEY_BYTES, type KeyStore, keyId, type MasterName } from './keystore.js'

/** An opened master key. Its bytes never encrypt anything: each use has a key derived from them. */
export interface Master {
  id: string
  /** Wraps data keys. */
  wrap: KeyObject
  /** Seals values that have no data key, such as a server's control password. */
  seal: KeyObject
}

/** Opened once per key store, because opening passwords is on the router's path. */
const opened = new WeakMap<KeyStore, Map<MasterName, Promise<Master>>>()

/** Opens a master key. Throws KEY_MISSING; a master is never made here, that would hide the loss of the old one. */
export async function openMaster(keystore: KeyStore, name: MasterName): Promise<Master> {
  const masters = opened.get(keystore) ?? new Map<MasterName, Promise<Master>>()
  opened.set(keystore, masters)
  const known = masters.get(name)
  if (known !== undefined) return await known
  const opening = keystore.read(name).then(derive)
  masters.set(name, opening)
  opening.catch(() => masters.delete(name))
  return await opening
}

/**
 * Opens the master key that sealed `what`, known by its id. Looks in the key store again when the one in memory is
 * another, so that a restored key needs no restart. Throws KEY_WRONG with both ids.
 */
export async function openMasterById(keystore: KeyStore, name: MasterName, id: string, what: string): Promise<Master> {
  const known = await openMaster(keystore, name)
  if (known.id === id) return known
  opened.get(keystore)?.delete(name)
  const master = await openMaster(keystore, name)
  if (master.id === id) return master
  throw new SaasctlError(
    'KEY_WRONG',
    `${what} was sealed with ${name} key ${id}, the key store (${keystore.describe()}) holds ${master.id}.`,
    { hint: `Bring ${name} key ${id} back from its backup: saasctl key restore` }
  )
}

function derive(key: Buffer): Master {
  const use = (info: string) => createSecretKey(Buffer.from(hkdfSync('sha256', key, '', info, KEY_BYTES)))
  return { id: keyId(key), wrap: use('saasctl/1/wrap'), seal: use('saasctl/1/seal') }
}
