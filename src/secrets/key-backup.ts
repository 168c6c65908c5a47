import { randomBytes } from 'node:crypto'
import { SaasctlError } from '../errors.js'
import type { Secret } from '../secret.js'
import { open, seal } from './envelope.js'
import { decodeKey, isKeyName, type KeyStore, refuseOtherKey } from './keystore.js'
import { type Cost, checkPassphrase, costNow, stretch } from './passphrase.js'

const FILE = /^(saasctl key backup 1\nmade \S+\nscrypt N=(\d{1,8}) r=(\d{1,3}) p=(\d{1,3}) salt=(\S+)\n)\n([\w+/=\n]+)$/
const ABOUT = { purpose: 'key backup', version: 1 }

/** All keys of the store as one text file that opens with the passphrase alone, on any machine. */
export async function backupKeys(keystore: KeyStore, passphrase: Secret): Promise<string> {
  checkPassphrase(passphrase)
  const names = await keystore.list()
  if (names.length === 0) {
    throw new SaasctlError('KEY_MISSING', `There are no keys to back up (${keystore.describe()}).`, {
      hint: 'Check that this is the key store of your catalog.'
    })
  }
  const keys: Record<string, string> = {}
  for (const name of names) keys[name] = (await keystore.read(name)).toString('base64')
  const salt = randomBytes(16)
  const head =
    `saasctl key backup 1\nmade ${new Date().toISOString()}\n` +
    `scrypt N=${costNow.N} r=${costNow.r} p=${costNow.p} salt=${salt.toString('base64')}\n`
  const key = await stretch(passphrase, salt, costNow)
  const body = seal(key, { ...ABOUT, owner: head }, JSON.stringify(keys)).toString('base64')
  return `${head}\n${body.replace(/.{1,76}/g, '$&\n')}`
}

/** Opens a key backup. Throws INVALID_INPUT for another kind of file, KEY_WRONG for a wrong passphrase or a change. */
export async function restoreKeys(text: string, passphrase: Secret): Promise<RestoredKeys> {
  const { head, cost, salt, body } = parse(text.replaceAll('\r\n', '\n'))
  const key = await stretch(passphrase, salt, cost)
  let opened: Buffer
  try {
    opened = open(key, { ...ABOUT, owner: head }, body)
  } catch {
    throw new SaasctlError(
      'KEY_WRONG',
      'The key backup does not open: the passphrase is wrong, or the file was changed.',
      {
        hint: 'Type the passphrase that was given when the backup was made, or try another copy of the file.'
      }
    )
  }
  return new RestoredKeys(JSON.parse(opened.toString('utf8')))
}

/** The keys of an opened backup. Printing it shows none of them. */
export class RestoredKeys {
  readonly #keys = new Map<string, Buffer>()

  constructor(encoded: Record<string, string>) {
    for (const [name, text] of Object.entries(encoded)) {
      const key = decodeKey(text)
      if (key === undefined || !isKeyName(name)) throw notABackup()
      this.#keys.set(name, key)
    }
  }

  get names(): string[] {
    return [...this.#keys.keys()]
  }

  /** Adds every key to the store. When it holds another key under one of the names: KEY_REFUSED, nothing is added. */
  async writeInto(keystore: KeyStore): Promise<void> {
    const present = new Set(await keystore.list())
    for (const [name, key] of this.#keys) {
      const held = present.has(name) ? await keystore.read(name) : undefined
      refuseOtherKey(name, key, held, keystore.describe())
    }
    for (const [name, key] of this.#keys) await keystore.add(name, key)
  }
}

function parse(text: string): { head: string; cost: Cost; salt: Buffer; body: Buffer } {
  const [, head, n, r, p, salt, body] = FILE.exec(text) ?? []
  if (head === undefined || salt === undefined || body === undefined) throw notABackup()
  const cost = { N: Number(n), r: Number(r), p: Number(p) }
  return { head, cost, salt: Buffer.from(salt, 'base64'), body: Buffer.from(body, 'base64') }
}

function notABackup(): SaasctlError {
  return new SaasctlError('INVALID_INPUT', 'The file is not a saasctl key backup, or it is not whole.', {
    hint: 'Give the file that saasctl key backup wrote.'
  })
}
