import { SaasctlError } from '../errors.js'
import { quoteInput } from '../names.js'
import type { Secret } from '../secret.js'
import { EnvKeyStore } from './env-keystore.js'
import { FileKeyStore } from './file-keystore.js'
import type { KeyStore, MasterName } from './keystore.js'

/** The key store that `file:PATH` or `env` names; `masters` are the values that `env` stands for. Touches no disk. */
export function openKeyStore(spec: string, masters: Partial<Record<MasterName, Secret>> = {}): KeyStore {
  if (spec === 'env') return new EnvKeyStore(masters)
  if (/^file:./.test(spec)) return new FileKeyStore(spec.slice('file:'.length))
  throw new SaasctlError('CONFIG_INVALID', `${quoteInput(spec)} is not a key store.`, {
    hint: 'Use "file:PATH" for a folder of key files, or "env".'
  })
}
