import { Short } from './bytes.js'
import { intOf } from './fields.js'
import { type Head, readHead } from './head.js'

/** What came out of one table. */
interface Block {
  entry: number
  rows: number
  /** The rows themselves, where they are kept. */
  kept: Buffer[]
}

/** Reads along with an archive while pg_dump writes it: its head, and of each table, where nothing is compressed, how many rows. */
export class Following {
  /** There as soon as all of it was read. */
  head: Head | undefined
  /** What is written is no archive that is understood: there will be no head. */
  lost = false
  readonly #wanted: { rows: boolean; keep?: (head: Head) => number | undefined }
  readonly #blocks = new Map<number, Block>()
  #held: Buffer = Buffer.alloc(0)
  #enough = 1
  #kept: number | undefined
  #block: Block | undefined
  /** Bytes of its rows that are still to come, until the next length. */
  #left = 0
  #end: Buffer = Buffer.alloc(0)

  /** `rows` are counted only where they are not compressed. Those of the entry that `keep` names are kept as text. */
  constructor(wanted: { rows: boolean; keep?: (head: Head) => number | undefined }) {
    this.#wanted = wanted
  }

  push(chunk: Buffer): void {
    if (this.lost) return
    if (!this.head) this.#begin(chunk)
    else if (this.#wanted.rows) this.#read(chunk)
  }

  /** How many rows an entry has; right when the archive has ended. */
  rowsOf(entry: number): number {
    return this.#blocks.get(entry)?.rows ?? 0
  }

  /** The rows that were kept, as COPY writes them. */
  keptRows(): string[] {
    const { rows = 0, kept = [] } = this.#blocks.get(this.#kept ?? 0) ?? {}
    return Buffer.concat(kept).toString('utf8').split('\n').slice(0, rows)
  }

  /** There is no more. A short archive's head is found only now. */
  end(): void {
    if (!this.head) this.#try(this.#held)
  }

  #begin(chunk: Buffer): void {
    this.#held = Buffer.concat([this.#held, chunk])
    if (this.#held.length >= this.#enough) this.#try(this.#held)
  }

  /** Again only with half as much more, for each try reads from the start. */
  #try(held: Buffer): void {
    try {
      const { result, length } = readHead(held)
      this.head = result
      this.#kept = this.#wanted.keep?.(result)
      this.#held = Buffer.alloc(0)
      this.push(held.subarray(length))
    } catch (error) {
      this.lost = !(error instanceof Short)
      this.#enough = held.length * 1.5
    }
  }

  #read(chunk: Buffer): void {
    for (let at = 0; at < chunk.length; ) {
      if (this.#left > 0) {
        const piece = chunk.subarray(at, at + this.#left)
        at += piece.length
        this.#left -= piece.length
        this.#data(piece)
      } else {
        const piece = chunk.subarray(at, at + this.#fieldBytes() - this.#held.length)
        at += piece.length
        this.#held = Buffer.concat([this.#held, piece])
        if (this.#held.length === this.#fieldBytes()) this.#field(this.#held)
      }
    }
  }

  /** A block begins with its kind and its entry. Each piece in it begins with its length; one of 0 ends the block. */
  #fieldBytes(): number {
    return (this.#block ? 1 : 2) + (this.head?.intSize ?? 0)
  }

  #field(field: Buffer): void {
    this.#held = Buffer.alloc(0)
    if (!this.#block) {
      this.#block = { entry: intOf(field.subarray(1)), rows: 0, kept: [] }
      this.#blocks.set(this.#block.entry, this.#block)
      return
    }
    this.#left = intOf(field)
    if (this.#left > 0) return
    if (this.#end.equals(END_OF_ROWS)) this.#block.rows -= 3
    this.#end = Buffer.alloc(0)
    this.#block = undefined
  }

  #data(piece: Buffer): void {
    const block = this.#block as Block
    for (let at = piece.indexOf(NEWLINE); at >= 0; at = piece.indexOf(NEWLINE, at + 1)) block.rows += 1
    if (block.entry === this.#kept) block.kept.push(piece)
    const end = piece.subarray(-END_OF_ROWS.length)
    this.#end = Buffer.concat([this.#end, end]).subarray(-END_OF_ROWS.length)
  }
}

const NEWLINE = 10

/** What pg_dump writes behind the rows of a table; no row of COPY begins with a bare `\.`. */
const END_OF_ROWS = Buffer.from('\\.\n\n\n')
