import { SaasctlError } from '../errors.js'
import type { Secret } from '../secret.js'
import { checkKeyName, decodeKey, type KeyStore, type MasterName, refuseOtherKey } from './keystore.js'

const VARIABLES: Record<MasterName, string> = { routing: 'SAASCTL_ROUTING_KEY', control: 'SAASCTL_CONTROL_KEY' }

/**
 * The master keys from the environment; nothing else fits in there, and nothing is ever made or destroyed.
 * Throws CONFIG_INVALID for a value that is no key, without showing it.
 */
export class EnvKeyStore implements KeyStore {
  readonly #keys = new Map<string, Buffer>()

  constructor(masters: Partial<Record<MasterName, Secret>>) {
    for (const name of ['control', 'routing'] as const) {
      const given = masters[name]
      if (given !== undefined) this.#keys.set(name, parseMaster(name, given))
    }
    const [first, second] = this.#keys.values()
    if (first !== undefined && second?.equals(first)) {
      throw new SaasctlError('CONFIG_INVALID', 'SAASCTL_ROUTING_KEY and SAASCTL_CONTROL_KEY hold the same key.', {
        hint: 'Use two keys: with one, a stolen router would open the owner logins too.'
      })
    }
  }

  async read(name: string): Promise<Buffer> {
    checkKeyName(name)
    const key = this.#keys.get(name)
    if (key !== undefined) return Buffer.from(key)
    throw new SaasctlError('KEY_MISSING', `The key "${name}" is not in the environment.`, { hint: hintFor(name) })
  }

  async ensure(name: string): Promise<Buffer> {
    return await this.read(name)
  }

  async add(name: string, key: Buffer): Promise<void> {
    checkKeyName(name)
    const held = this.#keys.get(name)
    refuseOtherKey(name, key, held, this.describe())
    if (held === undefined) throw readOnly(name, 'stored in')
  }

  async destroy(name: string): Promise<void> {
    checkKeyName(name)
    if (this.#keys.has(name)) throw readOnly(name, 'destroyed in')
  }

  async list(): Promise<string[]> {
    return [...this.#keys.keys()].sort()
  }

  describe(): string {
    return 'environment'
  }
}

function parseMaster(name: MasterName, given: Secret): Buffer {
  const key = decodeKey(given.reveal().trim())
  if (key !== undefined) return key
  throw new SaasctlError('CONFIG_INVALID', `${VARIABLES[name]} is not a key: it must be base64 of 32 bytes.`, {
    hint: 'Make a new one with: openssl rand -base64 32'
  })
}

function hintFor(name: string): string {
  return name === 'routing' || name === 'control'
    ? `Set ${VARIABLES[name]} to base64 of 32 bytes.`
    : 'The environment holds master keys only. Use a key folder: file:PATH'
}

function readOnly(name: string, verb: string): SaasctlError {
  return new SaasctlError('KEY_REFUSED', `The key "${name}" cannot be ${verb} the environment.`, {
    hint: hintFor(name)
  })
}
