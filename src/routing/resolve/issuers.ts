import { createPublicKey, createSecretKey, type KeyObject } from 'node:crypto'
import { quoteInput } from '../../names.js'
import { Secret } from '../../secret.js'
import {
  type Algorithm,
  fits,
  isPublicAlgorithm,
  isSecretAlgorithm,
  type PublicAlgorithm,
  type SecretAlgorithm,
  secretBytes
} from './algorithms.js'
import { unusable } from './config.js'
import { KeySet, type KeySetTimes } from './key-set.js'
import { FixedKey, type Keys } from './keys.js'

/** Who makes tokens, and what a good one of theirs looks like. With exactly one of `key`, `jwksUrl` and `secret`. */
export interface IssuerOptions {
  /** Exactly as in the `iss` claim. */
  iss: string
  /** A token must be for one of these. */
  aud: string | readonly string[]
  /** Pinned: a token's own `alg` only chooses among these. */
  algorithms: readonly Algorithm[]
  /** Public key or certificate, PEM. */
  key?: string
  /** Where the issuer publishes its keys: https, or http on this machine. Never taken from a token. */
  jwksUrl?: string
  /** Shared secret, at least as long as the hash: 32 bytes for HS256. */
  secret?: Secret | string
  /** What the `typ` header must be, for example `at+jwt` (RFC 9068). */
  typ?: string
  /** Claims that must have exactly this value, for example `{ token_use: 'access' }`. */
  require?: Readonly<Record<string, string | number | boolean>>
}

export interface Issuer {
  readonly iss: string
  readonly audiences: string[]
  readonly algorithms: ReadonlySet<Algorithm>
  readonly keys: Keys
  readonly typ: string | undefined
  readonly require: ReadonlyArray<readonly [string, string | number | boolean]>
}

/** By the `iss` claim. ROUTER_CONFIG with every problem at once. */
export function parseIssuers(options: readonly IssuerOptions[], times: KeySetTimes): Map<string, Issuer> {
  const problems = options.flatMap(problemsOf)
  const names = options.map(({ iss }) => iss)
  const twice = names.find((name, index) => names.indexOf(name) !== index)
  if (options.length === 0) problems.push('fromJwt: no issuer is named, so no token could be verified.')
  if (twice !== undefined) problems.push(`fromJwt: the issuer ${quoteInput(twice)} is named twice.`)
  if (problems.length > 0) throw unusable(...problems)
  return new Map(options.map(option => [option.iss, issuer(option, times)]))
}

function issuer(options: IssuerOptions, times: KeySetTimes): Issuer {
  const { iss, aud, algorithms, typ, require = {} } = options
  const keys = keysOf(options, times)
  return { iss, audiences: [aud].flat(), algorithms: new Set(algorithms), keys, typ, require: Object.entries(require) }
}

function keysOf({ algorithms, key, jwksUrl, secret }: IssuerOptions, times: KeySetTimes): Keys {
  if (jwksUrl !== undefined) return new KeySet(jwksUrl, algorithms.filter(isPublicAlgorithm), times)
  if (key !== undefined) return new FixedKey(algorithms, publicKey(key))
  return new FixedKey(algorithms, createSecretKey(Buffer.from(reveal(secret))))
}

function problemsOf(options: IssuerOptions): string[] {
  const { iss, aud, algorithms, key, jwksUrl, secret } = options
  const problems: string[] = []
  const audiences = [aud].flat()
  if (typeof iss !== 'string' || iss === '') problems.push('has no name; set `iss`.')
  if (audiences.length === 0 || audiences.some(one => typeof one !== 'string' || one === ''))
    problems.push('has no `aud`.')
  if (!Array.isArray(algorithms) || algorithms.length === 0) problems.push('pins no `algorithms`.')
  else if ([key, jwksUrl, secret].filter(given => given !== undefined).length !== 1) {
    problems.push('must have exactly one of `key`, `jwksUrl` and `secret`.')
  } else if (secret !== undefined) problems.push(...secretProblems(secret, algorithms))
  else problems.push(...publicProblems(options))
  return problems.map(problem => `fromJwt: the issuer ${quoteInput(iss)} ${problem}`)
}

/** A public key as a secret is the oldest forgery (CVE-2023-48223, CVE-2026-34950, CVE-2026-107722); an empty one, CVE-2026-44351. */
function secretProblems(secret: Secret | string, algorithms: readonly Algorithm[]): string[] {
  if (!algorithms.every(isSecretAlgorithm)) return ['has a secret, which goes with HS256, HS384 and HS512 only.']
  const text = reveal(secret)
  const least = Math.max(
    ...algorithms.filter((name): name is SecretAlgorithm => isSecretAlgorithm(name)).map(secretBytes)
  )
  if (Buffer.byteLength(text.trim()) < least) return [`has a secret of fewer than ${least} bytes.`]
  if (text.trim() !== text) return ['has a secret that begins or ends with white space.']
  if (/-----BEGIN|"kty"/.test(text)) return ['has a key where a secret should be; everybody can read a public key.']
  return []
}

function publicProblems({ algorithms, key, jwksUrl }: IssuerOptions): string[] {
  if (!algorithms.every(isPublicAlgorithm))
    return ['has a public key, which goes with RS, PS, ES and EdDSA algorithms only.']
  if (jwksUrl !== undefined)
    return isSafeUrl(jwksUrl) ? [] : [`has ${quoteInput(jwksUrl)} as jwksUrl; it must be https.`]
  let material: KeyObject
  try {
    material = publicKey(key)
  } catch {
    return ['has a `key` that is no public key or certificate in PEM.']
  }
  const unfit = algorithms.filter((name): name is PublicAlgorithm => isPublicAlgorithm(name) && !fits(name, material))
  return unfit.length > 0
    ? [`has a \`key\` that ${unfit.join(', ')} cannot use: another type or curve, or too short.`]
    : []
}

function isSafeUrl(text: string): boolean {
  if (!URL.canParse(text)) return false
  const { protocol, hostname, username, password } = new URL(text)
  const local = hostname === 'localhost' || hostname === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(hostname)
  return username === '' && password === '' && (protocol === 'https:' || (protocol === 'http:' && local))
}

/** White space and a byte order mark around a PEM are an editor's; anything else before it makes it no PEM. */
function publicKey(pem: unknown): KeyObject {
  const text = typeof pem === 'string' ? pem.trim() : ''
  if (!/^-----BEGIN (?:(?:RSA )?PUBLIC KEY|CERTIFICATE)-----/.test(text)) throw new Error('Not a public key.')
  return createPublicKey(text)
}

function reveal(secret: Secret | string | undefined): string {
  return secret instanceof Secret ? secret.reveal() : String(secret ?? '')
}
