import { randomBytes } from 'node:crypto'
import { link, open, readdir, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { errno, syncFolder } from '../disk.js'
import { SaasctlError } from '../errors.js'
import { refused, unlessAbsent } from './key-folder.js'
import { decodeKey, keyId } from './keystore.js'

/** `saasctl-key-1 <id> <base64>`: the id tells a damaged file from another key. */
const LINE = /^saasctl-key-1 ([0-9a-f]{16}) (\S+)\n?$/

/** Reads one key file, or undefined when there is none. A file that group or others may read is refused. */
export async function readKeyFile(path: string): Promise<Buffer | undefined> {
  const text = await unlessAbsent(path, readPrivate(path))
  if (text === undefined) return undefined
  const [, id, encoded = ''] = LINE.exec(text) ?? []
  const key = decodeKey(encoded)
  if (key !== undefined && keyId(key) === id) return key
  throw new SaasctlError('KEY_REFUSED', `The key file ${path} is damaged.`, {
    hint: 'Move it away and bring the key back from a key backup.'
  })
}

/**
 * Puts the key in the file unless the file exists already: then that key stays. The file has its full content from
 * the moment it has its name, and both are on disk when this returns.
 */
export async function placeKeyFile(path: string, key: Buffer): Promise<void> {
  const temporary = join(dirname(path), `.${basename(path)}.${randomBytes(8).toString('hex')}`)
  try {
    await writePrivate(temporary, `saasctl-key-1 ${keyId(key)} ${key.toString('base64')}\n`)
    await linkOnce(temporary, path)
    await rm(temporary)
    await syncFolder(dirname(path))
  } catch (error) {
    await rm(temporary, { force: true })
    throw refused(path, error)
  }
}

/** Removes the file, and copies of the key that a writer killed half-way left beside it. */
export async function removeKeyFile(path: string): Promise<void> {
  const folder = dirname(path)
  const files = (await unlessAbsent(folder, readdir(folder))) ?? []
  const gone = files.filter(file => file === basename(path) || file.startsWith(`.${basename(path)}.`))
  if (gone.length === 0) return
  try {
    for (const file of gone) await rm(join(folder, file), { force: true })
    await syncFolder(folder)
  } catch (error) {
    throw refused(path, error)
  }
}

/** link, not rename: rename would replace the key that another first start has just put there. */
async function linkOnce(temporary: string, path: string): Promise<void> {
  try {
    await link(temporary, path)
  } catch (error) {
    if (errno(error) !== 'EEXIST') throw error
  }
}

async function readPrivate(path: string): Promise<string> {
  const file = await open(path, 'r')
  try {
    // Asked of the open file, so that what is judged is what is read.
    const { mode } = await file.stat()
    if ((mode & 0o077) === 0) return await file.readFile('utf8')
  } finally {
    await file.close()
  }
  throw new SaasctlError('KEY_REFUSED', `The key file ${path} may be read or written by others.`, {
    hint: `Run: chmod 600 ${path}`
  })
}

async function writePrivate(path: string, text: string): Promise<void> {
  const file = await open(path, 'wx', 0o600)
  try {
    await file.writeFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
}
