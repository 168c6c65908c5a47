import type { Readable } from 'node:stream'
import { SaasctlError } from '../../../errors.js'

export const damaged = (what: string): SaasctlError =>
  new SaasctlError('FAILED', `The dump cannot be read: ${what}.`, { hint: 'Restore another backup.' })

/** Thrown by a reader of fields that came to the end of what is there: more may come. */
export class Short extends Error {}

/** A stream, read by the number of bytes. */
export class Bytes {
  readonly #chunks: AsyncIterator<Buffer>
  #held: Buffer = Buffer.alloc(0)
  #at = 0

  constructor(stream: Readable) {
    this.#chunks = stream[Symbol.asyncIterator]()
  }

  /** Exactly so many bytes; without copying, when they came together. */
  async take(length: number): Promise<Buffer> {
    if (this.#held.length - this.#at < length) return this.#across(length)
    const taken = this.#held.subarray(this.#at, this.#at + length)
    this.#at += length
    return taken
  }

  /** One byte, or undefined when the stream has ended. */
  async next(): Promise<number | undefined> {
    if (this.#held.length === this.#at && !(await this.#more())) return undefined
    return (await this.take(1))[0]
  }

  /** Reads fields of unknown length: `read` is called again with more whenever it is `Short`. */
  async parse<Result>(read: (fields: Buffer) => { result: Result; length: number }): Promise<Result> {
    for (let wanted = 1; ; wanted = (this.#held.length - this.#at) * 2) {
      while (this.#held.length - this.#at < wanted && (await this.#more())) {}
      try {
        const { result, length } = read(this.#held.subarray(this.#at))
        this.#at += length
        return result
      } catch (error) {
        if (!(error instanceof Short)) throw error
        if (!(await this.#more())) throw damaged('it ends within its table of contents')
      }
    }
  }

  /** Copies what is asked for, and not the whole chunk that its end is in. */
  async #across(length: number): Promise<Buffer> {
    const parts = [this.#held.subarray(this.#at)]
    for (let there = parts[0]?.length ?? 0; there < length; ) {
      const { value, done } = await this.#chunks.next()
      if (done) throw damaged('it ends too early')
      this.#held = value
      this.#at = Math.min(length - there, value.length)
      parts.push(value.subarray(0, this.#at))
      there += this.#at
    }
    return Buffer.concat(parts)
  }

  async #more(): Promise<boolean> {
    const { value, done } = await this.#chunks.next()
    if (done) return false
    this.#held = Buffer.concat([this.#held.subarray(this.#at), value])
    this.#at = 0
    return true
  }
}
