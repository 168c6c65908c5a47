import { createHash } from 'node:crypto'

const ALPHABET = './0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'

/** Which bytes of the digest make up each group of four characters. */
const GROUPS = [
  [0, 10, 20],
  [21, 1, 11],
  [12, 22, 2],
  [3, 13, 23],
  [24, 4, 14],
  [15, 25, 5],
  [6, 16, 26],
  [27, 7, 17],
  [18, 28, 8],
  [9, 19, 29]
] as const

/** Drepper's sha256-crypt: 43 characters. The salt may have any length; `crypt(3)` would cut it after sixteen. */
export function sha256Crypt(password: string, salt: Buffer, rounds: number): string {
  const key = Buffer.from(password)
  const sha256 = (...parts: Buffer[]) => createHash('sha256').update(Buffer.concat(parts)).digest()

  const inner = sha256(key, salt, key)
  const parts = [key, salt, stretch(inner, key.length)]
  for (let bits = key.length; bits > 0; bits >>= 1) parts.push(bits & 1 ? inner : key)
  let digest = sha256(...parts)

  const p = stretch(sha256(...Array<Buffer>(key.length).fill(key)), key.length)
  const s = stretch(sha256(...Array<Buffer>(16 + digest.readUInt8(0)).fill(salt)), salt.length)
  for (let round = 0; round < rounds; round += 1) {
    const [first, last] = round % 2 ? [p, digest] : [digest, p]
    digest = sha256(first, ...(round % 3 ? [s] : []), ...(round % 7 ? [p] : []), last)
  }
  return encode(digest)
}

/** The bytes repeated to a length. */
const stretch = (bytes: Buffer, length: number): Buffer => Buffer.alloc(length, bytes)

function encode(digest: Buffer): string {
  const at = (index: number) => digest.readUInt8(index)
  const groups = GROUPS.map(([a, b, c]) => characters((at(a) << 16) | (at(b) << 8) | at(c), 4))
  return groups.join('') + characters((at(31) << 8) | at(30), 3)
}

function characters(bits: number, count: number): string {
  return Array.from({ length: count }, (_, index) => ALPHABET.charAt((bits >> (6 * index)) & 0x3f)).join('')
}
