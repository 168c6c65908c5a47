import { createReadStream } from 'node:fs'
import { lstat } from 'node:fs/promises'
import { join } from 'node:path'
import { SaasctlError } from '../errors.js'
import type { Resource } from './datapackage.js'
import { entriesOf } from './unpack.js'
import type { Entry } from './unpack-rules.js'
import type { PackageFacts } from './write.js'

export interface PackageFile {
  id: string
  name: string
  resources: Resource[]
  saasctl: PackageFacts
}

const PACKAGE = 'data/datapackage.json'
/** Whoever has no key to check it with reads what anybody may have written: no file outside of the bag. */
const TABLE_FILE = /^tables\/(?!.*\.\.)[A-Za-z0-9_.-]+$/
const isWithin = ({ path }: Resource) => [path].flat().every(file => TABLE_FILE.test(file))

const PACKAGE_BYTES = 256 * 2 ** 20

/** Files of a bag in the order in which they were written, which is the only one in which an archive gives them. */
export class BagReader {
  readonly #path: string
  readonly #entries: AsyncGenerator<Entry> | undefined

  private constructor(path: string, entries: AsyncGenerator<Entry> | undefined) {
    this.#path = path
    this.#entries = entries
  }

  static async open(path: string): Promise<BagReader> {
    return new BagReader(path, (await lstat(path)).isDirectory() ? undefined : entriesOf(path))
  }

  async *read(name: string): AsyncGenerator<Buffer> {
    if (!this.#entries) return yield* createReadStream(join(this.#path, name), { highWaterMark: 256 * 1024 })
    for (let next = await this.#entries.next(); !next.done; next = await this.#entries.next()) {
      const { path, content } = next.value
      if (path === name) return yield* content
      for await (const _ of content);
    }
    throw new SaasctlError('INVALID_INPUT', `The export has no ${name}, or not where it belongs.`, {
      hint: 'See whether it is intact with "saasctl export verify".'
    })
  }

  /** One table in one format, whatever number of files it is in. */
  async *resource({ path }: Resource): AsyncGenerator<Buffer> {
    for (const name of [path].flat()) yield* this.read(`data/${name}`)
  }

  async close(): Promise<void> {
    await this.#entries?.return(undefined)
  }
}

/** What the bag says of its tables. INVALID_INPUT for a file that no export of ours has. */
export async function readPackage(path: string): Promise<PackageFile> {
  const reader = await BagReader.open(path)
  try {
    const parts: Buffer[] = []
    let bytes = 0
    for await (const piece of reader.read(PACKAGE)) {
      parts.push(piece)
      bytes += piece.length
      if (bytes > PACKAGE_BYTES) break
    }
    const parsed = JSON.parse(Buffer.concat(parts).toString('utf8')) as PackageFile
    const right = Array.isArray(parsed.resources) && parsed.resources.every(isWithin)
    if (right && typeof parsed.saasctl?.engine === 'string') return parsed
  } catch (thrown) {
    if (thrown instanceof SaasctlError) throw thrown
  } finally {
    await reader.close()
  }
  throw new SaasctlError('INVALID_INPUT', `${PACKAGE} of the export cannot be read.`, {
    hint: 'It is not one that this version of saasctl has written.'
  })
}
