import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { open } from 'node:fs/promises'
import { Transform } from 'node:stream'

/**
 * At the end of an archive stands the SHA-512 of all that comes before it: compressed bytes can be flipped in ways that
 * unpack to the same content, and nothing else would notice. Programs that unpack do not mind it: in a zip it is the
 * comment, behind a gzip it is the head of an empty one.
 */
const MARK = 'sha512='
const HEX = 128
export const SEAL_COMMENT = `${MARK}${'0'.repeat(HEX)}`

/** In front of the hash: an empty gzip member with an extra field "SH" of this length (RFC 1952). */
const MEMBER_HEAD = Buffer.from([0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 255, HEX + 4, 0, 0x53, 0x48, HEX, 0])
const MEMBER_END = Buffer.from([3, 0, 0, 0, 0, 0, 0, 0, 0, 0])

type Sealed = 'tar.gz' | 'zip'

/** What stands at the end, with the hash of all before. */
function endOf(kind: Sealed, sha512: string): Buffer {
  if (kind === 'zip') return Buffer.from(`${MARK}${sha512}`)
  return Buffer.concat([MEMBER_HEAD, Buffer.from(sha512), MEMBER_END])
}

const lengthOf = (kind: Sealed) => endOf(kind, '0'.repeat(HEX)).length

/** Seals a stream. A zip must have been given `SEAL_COMMENT` as its comment, whose place the hash takes. */
export function seal(kind: Sealed): Transform {
  const hash = createHash('sha512')
  const keep = kind === 'zip' ? SEAL_COMMENT.length : 0
  let held: Buffer = Buffer.alloc(0)
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      const all = held.length === 0 ? chunk : Buffer.concat([held, chunk])
      const ready = all.subarray(0, Math.max(all.length - keep, 0))
      held = all.subarray(ready.length)
      hash.update(ready)
      done(null, ready)
    },
    flush(done) {
      done(null, endOf(kind, hash.digest('hex')))
    }
  })
}

/** Whether an archive is, to the byte, what was sealed. */
export async function sealHolds(path: string, kind: Sealed, bytes: number): Promise<boolean> {
  const length = lengthOf(kind)
  if (bytes <= length) return false
  const hash = createHash('sha512')
  for await (const chunk of createReadStream(path, { end: bytes - length - 1, highWaterMark: 256 * 1024 }))
    hash.update(chunk)
  const file = await open(path, 'r')
  try {
    const { buffer } = await file.read(Buffer.alloc(length), 0, length, bytes - length)
    return buffer.equals(endOf(kind, hash.digest('hex')))
  } finally {
    await file.close()
  }
}
