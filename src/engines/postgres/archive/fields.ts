import { damaged, Short } from './bytes.js'

/** Reads the fields of an archive's head. Integers are a sign and so many bytes, strings an integer and so many bytes. */
export class FieldReader {
  readonly #buffer: Buffer
  /** Of an integer and of an offset, in bytes; the head says them. */
  sizes = { int: 4, offset: 8 }
  at = 0

  constructor(buffer: Buffer) {
    this.#buffer = buffer
  }

  bytes(length: number): Buffer {
    if (this.#buffer.length - this.at < length) throw new Short()
    this.at += length
    return this.#buffer.subarray(this.at - length, this.at)
  }

  byte(): number {
    return this.bytes(1)[0] ?? 0
  }

  int(): number {
    return intOf(this.bytes(1 + this.sizes.int))
  }

  string(): string | null {
    const length = this.int()
    return length < 0 ? null : this.bytes(length).toString('utf8')
  }
}

/** A sign, then the number with its lowest byte first. */
export function intOf(bytes: Buffer): number {
  const size = bytes.length - 1
  if (size < 1 || size > 6) throw damaged(`its integers have ${size} bytes`)
  const value = bytes.readUIntLE(1, size)
  return bytes[0] === 0 ? value : -value
}

export function writeInt(value: number): Buffer {
  const bytes = Buffer.alloc(5)
  bytes[0] = value < 0 ? 1 : 0
  bytes.writeUInt32LE(Math.abs(value), 1)
  return bytes
}

export function writeString(text: string | null): Buffer {
  if (text === null) return writeInt(-1)
  const bytes = Buffer.from(text, 'utf8')
  return Buffer.concat([writeInt(bytes.length), bytes])
}
