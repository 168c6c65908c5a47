import { createHash, createPrivateKey, createPublicKey, type KeyObject, randomBytes, sign, verify } from 'node:crypto'
import { SaasctlError } from '../errors.js'
import { KEY_BYTES, type KeyStore } from './keystore.js'

/** What signs checkpoints, exports and certificates. Its private key is in the key store and nowhere else. */
export interface Signer {
  keyId: string
  /** PEM, for `openssl pkeyutl -verify -pubin -inkey`. */
  publicKey: string
  /** The raw Ed25519 signature, 64 bytes. */
  sign(bytes: Buffer): Buffer
}

/** A public key, and when it signed: what was dated outside of that was not signed by us. */
export interface SigningKey {
  keyId: string
  publicKey: string
  from: Date
  /** Null for the one that signs now. */
  until: Date | null
}

/** `audit/<from>` holds the seed of a private key, `audit-retired/<from>-<until>` the public half of one that was destroyed. */
const SEED = 'audit/'
const RETIRED = 'audit-retired/'
/** DER of an Ed25519 key up to its 32 bytes (RFC 8410). */
const PRIVATE_HEAD = Buffer.from('302e020100300506032b657004220420', 'hex')
const PUBLIC_HEAD = Buffer.from('302a300506032b6570032100', 'hex')

/** The key that signs now; made at first need. */
export async function signer(keys: KeyStore): Promise<Signer> {
  const names = await seedNames(keys)
  // Two first starts at once may make two; from then on both agree on the newer.
  if (names.length === 0) await keys.ensure(`${SEED}${stamp(new Date())}`)
  const newest = (await seedNames(keys)).at(-1)
  if (newest === undefined) throw new SaasctlError('KEY_MISSING', `No signing key could be made (${keys.describe()}).`)
  return signerOf(await keys.read(newest))
}

/** Every public key there ever was, oldest first; those that were retired with both of their dates. */
export async function signingKeys(keys: KeyStore): Promise<SigningKey[]> {
  const names = await keys.list()
  const seeds = names.filter(name => name.startsWith(SEED)).sort()
  const found = new Map<string, SigningKey>()
  for (const [index, name] of seeds.entries()) {
    const next = seeds[index + 1]
    const { keyId, publicKey } = signerOf(await keys.read(name))
    found.set(keyId, { keyId, publicKey, from: dateOf(name), until: next === undefined ? null : dateOf(next) })
  }
  for (const name of names.filter(name => name.startsWith(RETIRED))) {
    const [from = '', until = ''] = name.slice(RETIRED.length).split('-')
    const parts = publicParts(publicOf(await keys.read(name)))
    found.set(parts.keyId, { ...parts, from: dateOf(from), until: dateOf(until) })
  }
  return [...found.values()].sort((a, b) => a.from.getTime() - b.from.getTime())
}

/**
 * Puts a new key in the place of the one that signs; of that one the public half stays, so that nobody can sign in its name
 * any more. `announce` is told both ids before anything is changed. Killed in the middle, the next rotation finishes it.
 */
export async function rotateSigningKey(
  keys: KeyStore,
  announce: (retired: string, next: string) => Promise<void>
): Promise<Signer> {
  const retiring = await signer(keys)
  const seed = randomBytes(KEY_BYTES)
  const next = signerOf(seed)
  await announce(retiring.keyId, next.keyId)
  const older = await seedNames(keys)
  const from = Math.max(Date.now(), ...older.map(name => dateOf(name).getTime() + 1))
  await keys.add(`${SEED}${stamp(new Date(from))}`, seed)
  for (const [index, name] of older.entries()) {
    const until = stamp(dateOf(older[index + 1] ?? stamp(new Date(from))))
    const raw = publicBytes(signerOf(await keys.read(name)).publicKey)
    await keys.add(`${RETIRED}${name.slice(SEED.length)}-${until}`, raw)
    await keys.destroy(name)
  }
  return next
}

export type PublicKey = Pick<SigningKey, 'keyId' | 'publicKey'>

/** Reads every public key from PEM, whatever text stands around them. INVALID_INPUT when there is none of Ed25519. */
export function readPublicKeys(pem: string): PublicKey[] {
  try {
    const blocks = pem.match(/-----BEGIN PUBLIC KEY-----[\s\S]*?-----END PUBLIC KEY-----/g) ?? []
    const keys = blocks.map(block => createPublicKey(block)).filter(key => key.asymmetricKeyType === 'ed25519')
    if (keys.length > 0) return keys.map(publicParts)
  } catch {
    // Said below: a block that does not parse is as good as none.
  }
  throw new SaasctlError('INVALID_INPUT', 'The file holds no public key of Ed25519 in PEM.', {
    hint: 'Give the file that "saasctl audit key" wrote.'
  })
}

/** Whether the raw signature is that key's over exactly these bytes. */
export function signedBy(publicKey: string, bytes: Buffer, signature: Buffer): boolean {
  return signature.length === 64 && verify(null, bytes, publicKey, signature)
}

async function seedNames(keys: KeyStore): Promise<string[]> {
  return (await keys.list()).filter(name => name.startsWith(SEED)).sort()
}

function signerOf(seed: Buffer): Signer {
  const key = createPrivateKey({ key: Buffer.concat([PRIVATE_HEAD, seed]), format: 'der', type: 'pkcs8' })
  return { ...publicParts(createPublicKey(key)), sign: bytes => sign(null, bytes, key) }
}

/** The id is the first 16 hex digits of the SHA-256 of the key's DER. */
function publicParts(key: KeyObject): PublicKey {
  const der = key.export({ format: 'der', type: 'spki' })
  const keyId = createHash('sha256').update(der).digest('hex').slice(0, 16)
  return { keyId, publicKey: String(key.export({ format: 'pem', type: 'spki' })) }
}

function publicOf(raw: Buffer): KeyObject {
  return createPublicKey({ key: Buffer.concat([PUBLIC_HEAD, raw]), format: 'der', type: 'spki' })
}

function publicBytes(pem: string): Buffer {
  return createPublicKey(pem).export({ format: 'der', type: 'spki' }).subarray(PUBLIC_HEAD.length)
}

/** A time as a key's name may hold it: `20261124t124500123z`. */
function stamp(date: Date): string {
  return date.toISOString().replace(/[-:.]/g, '').toLowerCase()
}

function dateOf(name: string): Date {
  const [, year, month, day, hour, minute, second, millisecond] =
    /(\d{4})(\d\d)(\d\d)t(\d\d)(\d\d)(\d\d)(\d{3})z$/.exec(name) ?? []
  return new Date(`${year}-${month}-${day}T${hour}:${minute}:${second}.${millisecond}Z`)
}
