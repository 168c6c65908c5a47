import { createCipheriv, createDecipheriv, type KeyObject, randomBytes } from 'node:crypto'
import { SaasctlError } from '../errors.js'
import { quoteInput } from '../names.js'

/** What a ciphertext belongs to. It opens in exactly this place, so a copy in another row is of no use. */
export interface Place {
  /** Id of the database, server or tenant. */
  owner: string
  purpose: string
  version: number
  /** Which of the owner's things, when it has several for one purpose: a login. */
  item?: string
}

const FORMAT = 1
const NONCE_BYTES = 12
const TAG_BYTES = 16
const OVERHEAD = 1 + NONCE_BYTES + TAG_BYTES

/**
 * AES-256-GCM: format byte, nonce, ciphertext, tag. Nonces are random, which is sound for 2^32 values a key;
 * the busiest key, a master's, seals two for each database.
 */
export function seal(key: KeyObject, place: Place, value: Buffer | string): Buffer {
  const nonce = randomBytes(NONCE_BYTES)
  const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES })
  cipher.setAAD(authenticated(place))
  const body = typeof value === 'string' ? cipher.update(value, 'utf8') : cipher.update(value)
  return Buffer.concat([Buffer.of(FORMAT), nonce, body, cipher.final(), cipher.getAuthTag()])
}

/** Throws KEY_WRONG when one bit of key, place or ciphertext is not what it was. */
export function open(key: KeyObject, place: Place, sealed: Buffer): Buffer {
  if (sealed.length < OVERHEAD || sealed[0] !== FORMAT) throw doesNotOpen(place)
  const nonce = sealed.subarray(1, 1 + NONCE_BYTES)
  // Without authTagLength Node takes tags of 4 bytes too, and those can be guessed.
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES })
  decipher.setAAD(authenticated(place))
  decipher.setAuthTag(sealed.subarray(-TAG_BYTES))
  const value = decipher.update(sealed.subarray(1 + NONCE_BYTES, -TAG_BYTES))
  try {
    decipher.final()
  } catch {
    throw doesNotOpen(place)
  }
  return value
}

/** Each field with its length before it. UTF-16, because UTF-8 writes all lone surrogates as one character. */
function authenticated({ owner, purpose, version, item }: Place): Buffer {
  const fields = ['saasctl', `${FORMAT}`, owner, purpose, `${version}`]
  if (item !== undefined) fields.push(item)
  let text = ''
  for (const field of fields) text += `${field.length}:${field}`
  return Buffer.from(text, 'utf16le')
}

function doesNotOpen({ owner, purpose, item }: Place): SaasctlError {
  const whose = item === undefined ? quoteInput(owner) : `${quoteInput(item)} of ${quoteInput(owner)}`
  return new SaasctlError(
    'KEY_WRONG',
    `The ${purpose} for ${whose} does not open: it was changed, moved from another row, or sealed with another key.`,
    {
      hint: 'Compare the catalog and the key store with their backups: one of the two is not the one that belongs here.'
    }
  )
}
