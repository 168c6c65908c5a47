import type { Readable } from 'node:stream'
import type { Session } from '../session.js'
import type { Entry } from './head.js'

/** The server takes a piece of a large object as one value of a statement. */
const PIECE = 256 * 1024

/** Large objects: one entry each up to pg_dump 16, one for a thousand of them from 17 on, whose rights are a pattern. */
export class LargeObjects {
  readonly #session: Session
  readonly #many: ReadonlyMap<number, number[]>

  constructor(session: Session, entries: Entry[]) {
    this.#session = session
    const metadata = entries.filter(({ kind }) => kind === 'BLOB METADATA')
    this.#many = new Map(metadata.map(entry => [entry.id, (entry.definition.match(/\d+/g) ?? []).map(Number)]))
  }

  /** Which of them an entry makes. */
  madeBy({ kind, tag, id }: Entry): number[] {
    return kind === 'BLOB' ? [Number(tag)] : (this.#many.get(id) ?? [])
  }

  /** The statements of an entry that stands for many, or undefined for every other. */
  statements(entry: Entry): string[] | undefined {
    const made = this.#many.get(entry.id)
    if (made) return made.map(oid => `SELECT pg_catalog.lo_create(${oid})`)
    const about = entry.tag.startsWith('LARGE OBJECTS') ? this.#many.get(entry.needs[0] ?? 0) : undefined
    return about?.map(oid => entry.definition.replace(/LARGE OBJECT \d+/g, `LARGE OBJECT ${oid}`))
  }

  async fill(objects: AsyncIterable<{ oid: number; content: Readable }>): Promise<void> {
    for await (const { oid, content } of objects) {
      let at = 0
      for await (const piece of pieces(content)) {
        await this.#session.rows('SELECT pg_catalog.lo_put($1, $2, $3)', [oid, at, piece])
        at += piece.length
      }
    }
  }
}

async function* pieces(content: Readable): AsyncGenerator<Buffer> {
  let held: Buffer[] = []
  let length = 0
  for await (const chunk of content as AsyncIterable<Buffer>) {
    held.push(chunk)
    length += chunk.length
    if (length < PIECE) continue
    yield Buffer.concat(held)
    held = []
    length = 0
  }
  if (length > 0) yield Buffer.concat(held)
}
