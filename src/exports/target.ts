import { createHash, randomBytes } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { lstat, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { pipeline as connect, type Readable, Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { syncFolder } from '../disk.js'
import { SaasctlError } from '../errors.js'
import { fileError } from '../stores/file-error.js'
import { objectName, type Store, type Stores } from '../stores/store.js'
import type { Container } from './pack.js'

/** Where an export came to be. */
export interface Landed {
  store: string
  object: string
  bytes: number
  sha512: string | null
}

/** A file or folder of somebody's own on this machine, or an object in a store. */
export type Place = { kind: 'file'; path: string } | { kind: 'store'; url: string | null; object: string }

/** Reads `--out`. An address of a bucket names the object; without any it is our own store. */
export function placeOf(target: string | null, usual: string): Place {
  if (target === null) return { kind: 'store', url: null, object: objectName(usual) }
  if (target.startsWith('file:')) return { kind: 'file', path: fileURLToPath(target) }
  const slash = target.lastIndexOf('/')
  return { kind: 'store', url: target.slice(0, slash), object: objectName(target.slice(slash + 1)) }
}

/** What the name of the file says it will be; a name without an ending is a folder. */
export function containerOf(name: string): Container {
  const bare = name.replace(/\.(?:p7m|cms)$/, '')
  if (/\.(?:tar\.gz|tgz)$/.test(bare)) return 'tar.gz'
  if (/\.zip$/.test(bare)) return 'zip'
  if (!/\.[a-z0-9]{1,8}$/i.test(bare)) return 'folder'
  throw new SaasctlError('USAGE', `The ending of "${basename(name)}" is none that an export has.`, {
    hint: 'Use .tar.gz or .zip, with .p7m behind it when it is encrypted, or no ending for a folder.'
  })
}

/** Refuses what is there already: nothing is written over; and what is to be in a folder that is not there. */
export async function refuseExisting(path: string): Promise<void> {
  if (await lstat(path).catch(() => undefined)) {
    throw new SaasctlError('INVALID_INPUT', `${path} is there already, and is not written over.`, {
      hint: 'Name another file.'
    })
  }
  const folder = await stat(dirname(path)).catch(() => undefined)
  if (folder?.isDirectory()) return
  throw new SaasctlError('INVALID_INPUT', `There is no folder ${dirname(path)} for ${basename(path)}.`, {
    hint: 'Make it, or name another file.'
  })
}

/** Half-made ones begin with a dot and bear the export's id, so that the next try finds those of one that was killed. */
const halfOf = (path: string, id: string) => `.${basename(path).slice(0, 100)}.${id}`

/**
 * Writes a stream to its place; until all of it is there nothing has that name. `confirm` is told the SHA-512 and asked before
 * it gets it: what it throws leaves nothing.
 */
export async function landStream(
  stores: Stores,
  place: Place,
  id: string,
  content: Readable,
  confirm: (sha512: string) => Promise<void>
): Promise<Landed> {
  const { stream, sha512 } = confirmed(content, confirm)
  if (place.kind === 'store') {
    const store = await openStore(stores, place)
    const { bytes } = await store.put(place.object, stream)
    return { store: store.url, object: place.object, bytes, sha512: sha512() }
  }
  const { path } = place
  const half = join(dirname(path), `${halfOf(path, id)}.${randomBytes(4).toString('hex')}`)
  try {
    const file = createWriteStream(half, { flags: 'wx', mode: 0o600, flush: true })
    await pipeline(stream, file)
    await take(half, path, id)
    return { ...addressOf(path), bytes: file.bytesWritten, sha512: sha512() }
  } catch (error) {
    stream.destroy()
    await rm(half, { force: true }).catch(() => {})
    throw fileError(error, basename(path), dirname(path))
  }
}

/** The same stream, which ends only when `confirm` agrees: no store gives a name to what has not ended. */
function confirmed(
  content: Readable,
  confirm: (sha512: string) => Promise<void>
): { stream: Readable; sha512: () => string } {
  const hash = createHash('sha512')
  let sha512 = ''
  const stream = new Transform({
    highWaterMark: 256 * 1024,
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk)
      done(null, chunk)
    },
    flush(done) {
      sha512 = hash.digest('hex')
      confirm(sha512).then(() => done(), done)
    }
  })
  // What goes wrong on either side is heard by whoever reads the other.
  connect(content, stream, () => {})
  return { stream, sha512: () => sha512 }
}

/** The same for a folder, which `fill` writes. */
export async function landFolder(
  path: string,
  id: string,
  fill: (folder: string) => Promise<number>,
  confirm: () => Promise<void>
): Promise<Landed> {
  let half: string | undefined
  try {
    half = await mkdtemp(join(dirname(path), `${halfOf(path, id)}.`))
    const bytes = await fill(half)
    await confirm()
    await take(half, path, id)
    return { ...addressOf(path), bytes, sha512: null }
  } catch (error) {
    if (half) await rm(half, { recursive: true, force: true }).catch(() => {})
    throw fileError(error, basename(path), dirname(path))
  }
}

/** Gives what is whole its name. The mark, written before, says that whatever has the name then is ours. */
async function take(half: string, path: string, id: string): Promise<void> {
  const { dev, ino } = await lstat(half)
  await writeFile(markOf(path, id), `${dev}:${ino}`, { mode: 0o600 })
  await refuseExisting(path)
  await rename(half, path)
  await syncFolder(dirname(path))
}

const markOf = (path: string, id: string) => join(dirname(path), `${halfOf(path, id)}.mark`)

/** What earlier tries left, whole or not, and nothing that others made. What is gone already is OK. */
export async function removeTries(stores: Stores, place: Place, id: string): Promise<void> {
  if (place.kind === 'store') return (await openStore(stores, place)).remove(place.object)
  const { path } = place
  const mark = await readFile(markOf(path, id), 'utf8').catch(() => '')
  const there = await lstat(path).catch(() => undefined)
  if (there && mark === `${there.dev}:${there.ino}`) await rm(path, { recursive: true, force: true })
  await removeHalves(place, id)
}

/** When all is done, nothing but the export itself stays. */
export async function removeHalves(place: Place, id: string): Promise<void> {
  if (place.kind === 'store') return
  const folder = dirname(place.path)
  for (const name of await readdir(folder).catch((): string[] => [])) {
    if (name.startsWith(`${halfOf(place.path, id)}.`)) await rm(join(folder, name), { recursive: true, force: true })
  }
}

function openStore(stores: Stores, { url }: { url: string | null }): Promise<Store> {
  return stores.open(url ?? stores.usual)
}

const addressOf = (path: string) => ({ store: pathToFileURL(dirname(path)).href, object: basename(path) })
