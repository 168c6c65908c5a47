import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { type FileHandle, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import type { Readable } from 'node:stream'
import { pathToFileURL } from 'node:url'
import { errno, syncFolder } from '../disk.js'
import { fileError } from './file-error.js'
import { objectName, objectPrefix, type PutOptions, type Range, type Store, type StoredObject } from './store.js'
import { destroyOnAbort, translated } from './streams.js'

/** No name of an object begins with a dot, so none can be taken for a half-written one. */
const HALF = /^\..+\.half$/

/** A folder of the operator's own: files 0600, folders 0700. */
export class FileStore implements Store {
  readonly url: string
  readonly #folder: string

  constructor(folder: string) {
    this.#folder = folder
    this.url = pathToFileURL(folder).href
  }

  async put(name: string, content: Readable, { signal }: PutOptions = {}): Promise<{ bytes: number }> {
    const path = this.#path(name)
    const half = join(dirname(path), `.${basename(path)}.${randomBytes(8).toString('hex')}.half`)
    const calm = destroyOnAbort(content, signal)
    try {
      const bytes = await this.#fill(half, content)
      await rename(half, path)
      await syncFolder(dirname(path))
      return { bytes }
    } catch (error) {
      content.destroy()
      await rm(half, { force: true }).catch(() => {})
      throw fileError(error, name, this.url, false)
    } finally {
      calm()
    }
  }

  async get(name: string, range?: Range): Promise<Readable> {
    const path = this.#path(name)
    try {
      // A link could lead out of the store.
      const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW)
      const stream = file.createReadStream({ ...range, highWaterMark: 256 * 1024 })
      return translated(stream, error => fileError(error, name, this.url))
    } catch (error) {
      throw fileError(error, name, this.url)
    }
  }

  async *list(prefix: string): AsyncGenerator<StoredObject> {
    for (const name of await this.#names(objectPrefix(prefix))) {
      if (HALF.test(basename(name))) continue
      const found = await stat(join(this.#folder, name)).catch(() => undefined)
      if (found?.isFile()) yield { name, bytes: found.size, at: found.mtime }
    }
  }

  async remove(name: string): Promise<void> {
    const path = this.#path(name)
    try {
      await rm(path, { force: true })
      await syncFolder(dirname(path))
    } catch (error) {
      if (errno(error) !== 'ENOENT') throw fileError(error, name, this.url)
    }
  }

  async sweep(prefix: string, before: Date): Promise<number> {
    let swept = 0
    for (const name of await this.#names(objectPrefix(prefix))) {
      const path = join(this.#folder, name)
      if (!HALF.test(basename(name))) continue
      const found = await stat(path).catch(() => undefined)
      if (!found || found.mtime >= before) continue
      await rm(path, { force: true })
      swept += 1
    }
    return swept
  }

  #path(name: string): string {
    return join(this.#folder, objectName(name))
  }

  async #names(prefix: string): Promise<string[]> {
    try {
      const names = await readdir(join(this.#folder, prefix), { recursive: true })
      return names.map(name => `${prefix}${name}`).sort()
    } catch (error) {
      if (errno(error) === 'ENOENT') return []
      throw fileError(error, prefix, this.url)
    }
  }

  /** Most folders are there already, and asking costs as much as opening. */
  async #fill(half: string, content: Readable): Promise<number> {
    const file = await openNew(half).catch(async (error: unknown) => {
      if (errno(error) !== 'ENOENT') throw error
      await this.#makeFolder(dirname(half))
      return await openNew(half)
    })
    return await fill(file, content)
  }

  /** Each new folder is on disk only when the one that it stands in is. */
  async #makeFolder(folder: string): Promise<void> {
    const first = await mkdir(folder, { recursive: true, mode: 0o700 })
    if (first === undefined) return
    for (let made = folder; made.length >= first.length; made = dirname(made)) await syncFolder(dirname(made))
  }
}

const openNew = (path: string) => open(path, 'wx', 0o600)

async function fill(file: FileHandle, content: Readable): Promise<number> {
  let bytes = 0
  try {
    for await (const part of content as AsyncIterable<Buffer>) {
      await file.writeFile(part)
      bytes += part.length
    }
    await file.sync()
    return bytes
  } finally {
    await file.close()
  }
}
