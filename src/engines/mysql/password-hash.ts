import { createHash, hash, randomBytes } from 'node:crypto'
import { SaasctlError } from '../../errors.js'
import type { Secret } from '../../secret.js'
import type { Flavour } from './flavour.js'
import { literal } from './quote.js'
import { sha256Crypt } from './sha256-crypt.js'

/**
 * What CREATE and ALTER USER are given in the place of a password, so that no log of the server's can hold one: the hash
 * that the server would make of it itself.
 *
 * MariaDB's `ed25519` would be the better plugin, but neither mysql2 nor a bare server has it. The older one's hash is
 * SHA-1 twice and without salt: for passwords of ours, 256 random bits, that is as good as any.
 */
export function identifiedBy(flavour: Flavour, password: Secret): string {
  const text = plain(password)
  return flavour === 'mariadb'
    ? `IDENTIFIED VIA mysql_native_password USING ${literal(nativeHash(text))}`
    : `IDENTIFIED WITH caching_sha2_password AS 0x${cachingSha2Hash(text, salt()).toString('hex')}`
}

/** `*` and the SHA-1 of the SHA-1, in hex. */
export function nativeHash(password: string): string {
  const once = createHash('sha1').update(password).digest()
  return `*${createHash('sha1').update(once).digest('hex').toUpperCase()}`
}

/** What proves a password to who knows its hash, and nothing but its hash: good for the server's number of twenty bytes alone. */
export function nativeToken(password: string, number: Buffer): Buffer {
  const once = hash('sha1', password, 'buffer')
  const mask = hash('sha1', Buffer.concat([number, hash('sha1', once, 'buffer')]), 'buffer')
  return mask.map((byte, index) => byte ^ (once[index] ?? 0)) as Buffer
}

/** `$A$005$`, twenty bytes of salt, and sha256-crypt of 5 × 1,000 rounds in its own base64. */
export function cachingSha2Hash(password: string, salt: Buffer): Buffer {
  return Buffer.concat([Buffer.from('$A$005$'), salt, Buffer.from(sha256Crypt(password, salt, 5_000))])
}

/** MySQL's own salts are seven-bit, without NUL and without the `$` that ends them. */
function salt(): Buffer {
  return Buffer.from(randomBytes(20).map(byte => ((byte & 0x7f) === 0 || (byte & 0x7f) === 0x24 ? 0x41 : byte & 0x7f)))
}

function plain(password: Secret): string {
  const text = password.reveal()
  if (/^[\x20-\x7e]+$/.test(text)) return text
  throw new SaasctlError('INVALID_INPUT', 'A database password may hold printable ASCII only, and not be empty.', {
    hint: 'Choose another password, or let one be generated.'
  })
}
