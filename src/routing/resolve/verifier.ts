import type { JWTPayload, ProtectedHeaderParameters } from 'jose'
import { decodeJwt, decodeProtectedHeader, errors, jwtVerify } from 'jose'
import QuickLRU from 'quick-lru'
import type { Algorithm } from './algorithms.js'
import type { Claim } from './claim.js'
import type { Issuer } from './issuers.js'
import type { VerifyingKey } from './keys.js'
import { frozen } from './payload.js'
import { isRefresh } from './purpose.js'
import { Refusal } from './refusal.js'

export interface VerifierOptions {
  issuers: ReadonlyMap<string, Issuer>
  clockSkewSeconds: number
  /** Verified tokens that are remembered; the cache holds up to twice as many. */
  cacheSize: number
  /** What a verified token says. */
  read(issuer: Issuer, payload: JWTPayload): Claim | Refusal
}

interface Verified {
  readonly token: string
  readonly claim: Claim
  readonly issuer: Issuer
  readonly key: VerifyingKey
  readonly until: number
}

const COMPACT = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/
const longest = 16_384

/**
 * Verifies tokens strictly and remembers the good ones. Each hit compares the whole token (a cache by a part of it
 * returned another user's claims, CVE-2026-35039), its expiry and its key. Bad tokens are not remembered: they cannot
 * push good ones out.
 */
export class Verifier {
  readonly #options: VerifierOptions
  readonly #verified: QuickLRU<string, Verified>

  constructor(options: VerifierOptions) {
    this.#options = options
    this.#verified = new QuickLRU({ maxSize: options.cacheSize })
  }

  /** `now` in milliseconds. A remembered token is answered at once. */
  verify(token: string, now: number): Claim | Refusal | Promise<Claim | Refusal> {
    const known = this.#verified.get(tailOf(token))
    if (known?.token !== token) return this.#check(token, now)
    const waiting = known.issuer.keys.refresh(now)
    if (waiting) return waiting.then(() => this.#remembered(token, known, now))
    return this.#remembered(token, known, now)
  }

  #remembered(
    token: string,
    { claim, issuer, key, until }: Verified,
    now: number
  ): Claim | Refusal | Promise<Claim | Refusal> {
    if (now < until && !key.retired && issuer.keys.serves(now)) return claim
    return this.#check(token, now)
  }

  #check(token: string, now: number): Refusal | Promise<Claim | Refusal> {
    if (token.length > longest || !COMPACT.test(token))
      return new Refusal('malformed', 'jwt', 'The token is no signed JWT.')
    let header: ProtectedHeaderParameters
    let issuer: Issuer | undefined
    try {
      header = decodeProtectedHeader(token)
      // Read before anything is verified, to choose the issuer; the signature and the claim are checked against that
      // choice.
      const { iss } = decodeJwt(token)
      issuer = typeof iss === 'string' ? this.#options.issuers.get(iss) : undefined
    } catch {
      return new Refusal('malformed', 'jwt', 'The token’s header or payload is no JSON object.')
    }
    if (!issuer) return unverified('is of an issuer that is not configured')
    // No extension is understood here. jku, x5u, jwk and x5c are not even read: keys come from the configuration.
    if ('crit' in header) return unverified('asks for an extension')
    if (!issuer.algorithms.has(header.alg as Algorithm))
      return unverified('is signed with an algorithm that is not pinned')
    const key = issuer.keys.find(header.alg as Algorithm, header.kid, now)
    if (key instanceof Refusal) return key
    return this.#judge(token, issuer, key, now)
  }

  async #judge(
    token: string,
    issuer: Issuer,
    found: Refusal | VerifyingKey | Promise<Refusal | VerifyingKey>,
    now: number
  ) {
    const key = await found
    if (key instanceof Refusal) return key
    const { clockSkewSeconds, read } = this.#options
    try {
      const { payload, protectedHeader } = await jwtVerify(token, key.material, {
        algorithms: [key.algorithm],
        issuer: issuer.iss,
        audience: issuer.audiences,
        requiredClaims: ['iss', 'aud', 'exp'],
        clockTolerance: clockSkewSeconds,
        currentDate: new Date(now),
        ...(issuer.typ !== undefined && { typ: issuer.typ })
      })
      const until = ((payload.exp ?? 0) + clockSkewSeconds) * 1000
      if (!Number.isFinite(until)) return unverified('never ends')
      if ((payload.iat ?? 0) * 1000 > now + clockSkewSeconds * 1000)
        return new Refusal('expired', 'jwt', 'The token is of the future.')
      if (isRefresh(protectedHeader, payload)) return unverified('is a refresh token')
      if (issuer.require.some(([name, value]) => payload[name] !== value))
        return unverified('lacks a claim that is required')
      const claim = read(issuer, frozen(payload))
      if (!(claim instanceof Refusal)) this.#verified.set(tailOf(token), { token, claim, issuer, key, until })
      return claim
    } catch (error) {
      return refusalOf(error)
    }
  }
}

/** The end of the signature, to find a token by: hashing all of it costs more than everything else on a hit. */
function tailOf(token: string): string {
  return token.slice(-32)
}

function unverified(what: string): Refusal {
  return new Refusal('unverified', 'jwt', `The token ${what}.`)
}

/** Only jose's code goes on: its errors carry the token's payload. */
function refusalOf(error: unknown): Refusal {
  const over = error instanceof errors.JWTExpired
  const early =
    error instanceof errors.JWTClaimValidationFailed && error.claim === 'nbf' && error.reason === 'check_failed'
  if (over || early) return new Refusal('expired', 'jwt', over ? 'The token is over.' : 'The token is not valid yet.')
  const claim = error instanceof errors.JWTClaimValidationFailed ? ` (${error.claim})` : ''
  return new Refusal(
    'unverified',
    'jwt',
    `The token does not hold: ${error instanceof errors.JOSEError ? error.code : 'its key does not fit'}${claim}.`
  )
}
