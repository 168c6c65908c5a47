import { Secret } from '../secret.js'
import { open, type Place, seal } from './envelope.js'
import type { KeyStore, MasterName } from './keystore.js'
import { openMaster, openMasterById } from './masters.js'

const ID_BYTES = 8

/**
 * Seals a value that belongs to no tenant database, such as a server's control password, with a master key itself.
 * The master's id goes first, so that a wrong master is reported as that.
 */
export async function sealSecret(keystore: KeyStore, name: MasterName, place: Place, value: Secret): Promise<Buffer> {
  const master = await openMaster(keystore, name)
  return Buffer.concat([Buffer.from(master.id, 'hex'), seal(master.seal, place, value.reveal())])
}

/** Throws KEY_MISSING without the master key, and KEY_WRONG when it is another or place and value do not agree. */
export async function openSecret(keystore: KeyStore, name: MasterName, place: Place, sealed: Buffer): Promise<Secret> {
  const id = sealed.subarray(0, ID_BYTES).toString('hex')
  const master = await openMasterById(keystore, name, id, `The ${place.purpose} secret of ${place.owner}`)
  return new Secret(open(master.seal, place, sealed.subarray(ID_BYTES)).toString('utf8'))
}
