import type { KeyObject } from 'node:crypto'

interface Asymmetric {
  readonly type: 'rsa' | 'ec' | 'ed25519'
  readonly curve?: string
}

const rsa: Asymmetric = { type: 'rsa' }
const ed25519: Asymmetric = { type: 'ed25519' }

/** What key each signature algorithm takes. `none` is not among them. */
const asymmetric = {
  RS256: rsa,
  RS384: rsa,
  RS512: rsa,
  PS256: rsa,
  PS384: rsa,
  PS512: rsa,
  ES256: { type: 'ec', curve: 'prime256v1' },
  ES384: { type: 'ec', curve: 'secp384r1' },
  ES512: { type: 'ec', curve: 'secp521r1' },
  EdDSA: ed25519,
  Ed25519: ed25519
} as const satisfies Record<string, Asymmetric>

/** Bytes that a secret must have: those of the hash (RFC 7518 §3.2). */
const symmetric = { HS256: 32, HS384: 48, HS512: 64 } as const

export type PublicAlgorithm = keyof typeof asymmetric
export type SecretAlgorithm = keyof typeof symmetric
export type Algorithm = PublicAlgorithm | SecretAlgorithm

export function isPublicAlgorithm(name: unknown): name is PublicAlgorithm {
  return typeof name === 'string' && Object.hasOwn(asymmetric, name)
}

export function isSecretAlgorithm(name: unknown): name is SecretAlgorithm {
  return typeof name === 'string' && Object.hasOwn(symmetric, name)
}

export function secretBytes(algorithm: SecretAlgorithm): number {
  return symmetric[algorithm]
}

/** Whether a public key may verify this algorithm's signatures: of its type and curve, and RSA of 2,048 bits or more. */
export function fits(algorithm: PublicAlgorithm, key: KeyObject): boolean {
  const { type, curve }: Asymmetric = asymmetric[algorithm]
  const { namedCurve, modulusLength = 0 } = key.asymmetricKeyDetails ?? {}
  return key.asymmetricKeyType === type && namedCurve === curve && (type !== 'rsa' || modulusLength >= 2048)
}
