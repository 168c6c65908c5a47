import { pipeline, Readable } from 'node:stream'
import { createInflate } from 'node:zlib'
import { type Bytes, damaged } from './bytes.js'
import { intOf } from './fields.js'
import type { Entry, Head } from './head.js'

/** pg_dump writes pieces of 4 KB: each by itself would cost more on its way through the streams than what is done to it. */
const PIECE = 64 * 1024

const ROWS = 1
const LARGE_OBJECTS = 3

/** The blocks of data behind an archive's head, each asked for once and in their order. */
export class Blocks {
  readonly #bytes: Bytes
  readonly #head: Head

  constructor(bytes: Bytes, head: Head) {
    this.#bytes = bytes
    this.#head = head
  }

  /** What COPY gave. */
  async rows(entry: Entry): Promise<Readable> {
    await this.#begin(entry, ROWS)
    return this.#content()
  }

  /** Each large object with what it holds. */
  async *largeObjects(entry: Entry): AsyncGenerator<{ oid: number; content: Readable }> {
    await this.#begin(entry, LARGE_OBJECTS)
    for (let oid = await this.#int(); oid !== 0; oid = await this.#int()) yield { oid, content: this.#content() }
  }

  async skip(entry: Entry): Promise<void> {
    const kind = await this.#begin(entry)
    if (kind === ROWS) return await this.#skipChunks()
    while ((await this.#int()) !== 0) await this.#skipChunks()
  }

  /** Fails unless everything was read: what comes after the last block belongs to nothing. */
  async end(): Promise<void> {
    if ((await this.#bytes.next()) !== undefined) throw damaged('it goes on after its end')
  }

  async #begin(entry: Entry, wanted?: number): Promise<number> {
    const kind = await this.#bytes.next()
    if (kind === undefined) throw damaged(`it ends before the data of ${entry.tag}`)
    const id = await this.#int()
    if (id !== entry.id || (kind !== wanted && wanted !== undefined)) throw damaged('its data are not in order')
    return kind
  }

  #content(): Readable {
    const chunks = Readable.from(this.#chunks(), { objectMode: false })
    if (this.#head.compression === 'none') return chunks
    // An error of either side is the reader's to see; there it comes out of the last one.
    return pipeline(chunks, createInflate({ chunkSize: 2 * PIECE }), () => undefined)
  }

  async *#chunks(): AsyncGenerator<Buffer> {
    let held: Buffer[] = []
    let size = 0
    for (let length = await this.#int(); length > 0; length = await this.#int()) {
      held.push(await this.#bytes.take(length))
      size += length
      if (size < PIECE) continue
      yield Buffer.concat(held)
      held = []
      size = 0
    }
    if (size > 0) yield Buffer.concat(held)
  }

  async #skipChunks(): Promise<void> {
    for (let length = await this.#int(); length > 0; length = await this.#int()) await this.#bytes.take(length)
  }

  async #int(): Promise<number> {
    return intOf(await this.#bytes.take(1 + this.#head.intSize))
  }
}
