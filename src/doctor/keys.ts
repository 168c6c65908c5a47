import { readInstance } from '../catalog/instance.js'
import { masterKeysInUse } from '../catalog/logins.js'
import { asSaasctlError } from '../errors.js'
import type { Context } from '../operations/kind.js'
import { keyId } from '../secrets/keystore.js'
import { type Diagnosis, fine, warning, wrong } from './finding.js'

/** Whether every key that the catalog needs is in the key store, and whether it could be brought back. */
export async function checkKeys({ catalog, keys }: Context): Promise<Diagnosis[]> {
  const [uses, instance] = await Promise.all([masterKeysInUse(catalog), readInstance(catalog)])
  const said: Diagnosis[] = []
  for (const { purpose, masterKeyId, count } of uses) {
    const what = `${count} data keys are sealed with ${purpose} key ${masterKeyId}`
    try {
      const held = keyId(await keys.read(purpose))
      if (held !== masterKeyId) {
        const message = `${what}, but the key store (${keys.describe()}) holds ${held}: their passwords cannot be opened.`
        said.push(wrong('keys.wrong', `key:${purpose}`, message, 'saasctl key restore FILE'))
      }
    } catch (thrown) {
      const { message, hint } = asSaasctlError(thrown)
      said.push(wrong('keys.missing', `key:${purpose}`, `${what}. ${message}`, hint ?? 'saasctl key restore FILE'))
    }
  }
  if (said.length === 0 && uses.length > 0) {
    said.push(fine('keys.present', 'keys', `Every key that the catalog needs is there (${keys.describe()}).`))
  }
  if (uses.length > 0) said.push(backup(instance.keysBackedUpAt), catalogBackup(instance.catalogBackedUpAt))
  return said
}

function backup(at: Date | null): Diagnosis {
  if (at) return fine('keys.backup', 'keys', `The keys were backed up on ${at.toISOString().slice(0, 10)}.`)
  const message = 'The keys were never backed up: without them every password in the catalog is lost.'
  return warning('keys.backup', 'keys', message, 'saasctl key backup FILE')
}

function catalogBackup(at: Date | null): Diagnosis {
  if (at) return fine('catalog.backup', 'catalog', `The catalog was backed up on ${at.toISOString().slice(0, 10)}.`)
  const message = 'The catalog was never backed up: without it nobody knows which database is whose.'
  return warning('catalog.backup', 'catalog', message, 'saasctl catalog backup')
}
