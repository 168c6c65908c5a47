import { createHash } from 'node:crypto'
import { packageVersion } from '../version.js'
import type { Pack, Written } from './pack.js'

export const MANIFEST = 'manifest-sha512.txt'
export const TAG_MANIFEST = 'tagmanifest-sha512.txt'
export const BAG_DECLARATION = 'BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n'
/** What the tag manifest vouches for. It cannot vouch for the attestation, which vouches for it. */
export const taggedFiles = ['bag-info.txt', 'bagit.txt', MANIFEST]

/** A BagIt bag in the making: payload first, then what vouches for it. */
export class Bag {
  readonly #pack: Pack
  readonly #payload = new Map<string, Written>()

  constructor(pack: Pack) {
    this.#pack = pack
  }

  /** A file of the payload, under `data/`. */
  async add(path: string, content: AsyncIterable<Buffer> | string): Promise<Written> {
    const written = await this.#pack.add(`data/${path}`, typeof content === 'string' ? once(content) : content)
    this.#payload.set(`data/${path}`, written)
    return written
  }

  /** The same in as many files as the pack makes of it, with their paths in the payload. */
  async addParts(path: string, content: AsyncIterable<Buffer>): Promise<Array<Written & { path: string }>> {
    const dot = path.lastIndexOf('.')
    const pieces = content[Symbol.asyncIterator]()
    const parts: Array<Written & { path: string }> = []
    for (let more = true; more; ) {
      const part = parts.length === 0 ? path : `${path.slice(0, dot)}-${parts.length + 1}${path.slice(dot)}`
      const taken = upTo(pieces, this.#pack.partBytes, end => {
        more = !end
      })
      const { value: first, done } = await taken.next()
      if (done && parts.length > 0) break
      parts.push({ path: part, ...(await this.add(part, joined(first, taken))) })
    }
    return parts
  }

  /** Writes the manifests; the SHA-512 of the tag manifest stands for everything. */
  async close(info: Record<string, string>): Promise<string> {
    const sizes = [...this.#payload.values()].reduce((sum, { bytes }) => sum + bytes, 0)
    const about = {
      ...info,
      'Bag-Software-Agent': `saasctl ${packageVersion()}`,
      'Payload-Oxum': `${sizes}.${this.#payload.size}`
    }
    const texts: Record<string, string> = {
      'bag-info.txt': lines(Object.entries(about).map(([name, value]) => `${name}: ${value.replace(/\s+/g, ' ')}`)),
      'bagit.txt': BAG_DECLARATION,
      [MANIFEST]: lines([...this.#payload].sort().map(([path, { sha512 }]) => `${sha512}  ${path}`))
    }
    const tags: string[] = []
    for (const name of taggedFiles) {
      const { sha512 } = await this.#pack.add(name, once(texts[name] ?? ''))
      tags.push(`${sha512}  ${name}`)
    }
    const tagManifest = lines(tags)
    await this.#pack.add(TAG_MANIFEST, once(tagManifest))
    return createHash('sha512').update(tagManifest).digest('hex')
  }

  /** Beside the bag's own files: what nobody but itself vouches for. */
  async attach(files: ReadonlyMap<string, Buffer>): Promise<void> {
    for (const [name, content] of files) await this.#pack.add(name, once(content))
    await this.#pack.finish()
  }
}

const lines = (all: string[]) => all.map(line => `${line}\n`).join('')

async function* once(content: string | Buffer): AsyncGenerator<Buffer> {
  yield Buffer.from(content)
}

async function* upTo(pieces: AsyncIterator<Buffer>, limit: number, at: (end: boolean) => void): AsyncGenerator<Buffer> {
  for (let bytes = 0; bytes < limit; ) {
    const { value, done } = await pieces.next()
    if (done) return at(true)
    bytes += value.length
    yield value
  }
  at(false)
}

async function* joined(first: Buffer | undefined, rest: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  if (first) yield first
  yield* rest
}
