import { randomBytes } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { SaasctlError } from '../errors.js'
import { placeKeyFile, readKeyFile, removeKeyFile } from './key-file.js'
import { checkFolder, makeFolder, unlessAbsent } from './key-folder.js'
import { checkKeyName, isKeyName, KEY_BYTES, type KeyStore, refuseOtherKey } from './keystore.js'

const ENDING = '.key'

/** One file per key in a folder of the operator's own: `control.key`, `tenant/<uuid>.key`. */
export class FileKeyStore implements KeyStore {
  readonly #folder: string

  constructor(folder: string) {
    this.#folder = resolve(folder)
  }

  async read(name: string): Promise<Buffer> {
    const key = await this.#find(name)
    if (key !== undefined) return key
    throw new SaasctlError('KEY_MISSING', `The key "${name}" is not in the key store.`, {
      hint: `Looked for ${this.#path(name)}. If it was lost, bring it back with: saasctl key restore`
    })
  }

  async ensure(name: string): Promise<Buffer> {
    return (await this.#find(name)) ?? (await this.#place(name, randomBytes(KEY_BYTES)))
  }

  async add(name: string, key: Buffer): Promise<void> {
    const where = this.describe()
    refuseOtherKey(name, key, await this.#find(name), where)
    refuseOtherKey(name, key, await this.#place(name, key), where)
  }

  async destroy(name: string): Promise<void> {
    await removeKeyFile(this.#path(name))
  }

  async list(): Promise<string[]> {
    const files = (await unlessAbsent(this.#folder, readdir(this.#folder, { recursive: true }))) ?? []
    const keys = files.filter(file => file.endsWith(ENDING)).map(file => file.slice(0, -ENDING.length))
    return keys.filter(isKeyName).sort()
  }

  describe(): string {
    return `folder ${this.#folder}`
  }

  async #find(name: string): Promise<Buffer | undefined> {
    const path = this.#path(name)
    for (const folder of this.#folders(path)) await checkFolder(folder)
    return await readKeyFile(path)
  }

  async #place(name: string, key: Buffer): Promise<Buffer> {
    const path = this.#path(name)
    for (const folder of this.#folders(path)) await makeFolder(folder)
    await placeKeyFile(path, key)
    return await this.read(name)
  }

  #path(name: string): string {
    checkKeyName(name)
    return join(this.#folder, `${name}${ENDING}`)
  }

  #folders(path: string): Set<string> {
    return new Set([this.#folder, dirname(path)])
  }
}
