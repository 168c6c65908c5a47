import type { JWTPayload } from 'jose'
import type { Claim, Said, Source } from './claim.js'
import { bounded, unusable } from './config.js'
import { headerAt, type RequestFacts } from './facts.js'
import { type Issuer, type IssuerOptions, parseIssuers } from './issuers.js'
import { type ClaimPath, claimIn, isClaimPath } from './payload.js'
import { Refusal } from './refusal.js'
import { tenantName } from './tenant-name.js'
import { Verifier } from './verifier.js'

export interface JwtOptions {
  issuers: readonly IssuerOptions[]
  /** How far clocks may be apart, for `exp`, `nbf` and `iat`. */
  clockSkewSeconds?: number
  /** An issuer's published keys: how old they may be, and how old while it does not answer; how seldom it is asked. */
  jwks?: { maxAgeSeconds?: number; staleSeconds?: number; cooldownSeconds?: number; timeoutSeconds?: number }
  /** The form that the claim must have. An id never changes; a slug may lead to another tenant after a rename. */
  by?: 'id' | 'slug'
  /** Verified tokens to remember. */
  cacheSize?: number
  /** Where the token is; the Authorization header's when not given. */
  token?: (request: RequestFacts) => string | undefined
  /** Milliseconds since 1970; tests turn it. */
  clock?: () => number
}

/**
 * The tenant is a claim, an id or a slug, of a verified token: signed by a configured issuer with a pinned algorithm,
 * for one of its audiences, with `iss`, `aud` and `exp`. Refused: a claim of another type, refresh tokens, `crit`, two
 * Authorization headers. ROUTER_CONFIG when an issuer or its key is not usable.
 */
export function fromJwt(claimName: ClaimPath, options: JwtOptions): Source {
  const { token = bearerToken, clock = Date.now, by, cacheSize = 2000, clockSkewSeconds = 30, jwks = {} } = options
  const { maxAgeSeconds = 60, staleSeconds = 600, cooldownSeconds = 10, timeoutSeconds = 5 } = jwks
  const problems = [
    ...(isClaimPath(claimName) ? [] : ['fromJwt: the name of the claim is empty.']),
    ...bounded('fromJwt: clockSkewSeconds', clockSkewSeconds, 0, 300),
    ...bounded('fromJwt: cacheSize', cacheSize, 1, 1_000_000),
    ...bounded('fromJwt: jwks.maxAgeSeconds', maxAgeSeconds, 1, 3600),
    ...bounded('fromJwt: jwks.staleSeconds', staleSeconds, maxAgeSeconds, 86_400),
    ...bounded('fromJwt: jwks.cooldownSeconds', cooldownSeconds, 1, maxAgeSeconds / 2),
    ...bounded('fromJwt: jwks.timeoutSeconds', timeoutSeconds, 0.1, 30)
  ]
  if (problems.length > 0) throw unusable(...problems)
  const verifier = new Verifier({
    clockSkewSeconds,
    cacheSize,
    issuers: parseIssuers(options.issuers, {
      maxAgeMs: maxAgeSeconds * 1000,
      staleMs: staleSeconds * 1000,
      cooldownMs: cooldownSeconds * 1000,
      timeoutMs: timeoutSeconds * 1000
    }),
    read: (issuer, payload) => read(claimName, by, issuer, payload)
  })

  function claim(request: RequestFacts): Said | Promise<Said> {
    let found: string | Refusal | undefined
    try {
      found = token(request)
    } catch (error) {
      return new Refusal('failed', 'jwt', 'The function that finds the token failed.', error)
    }
    return typeof found === 'string' ? verifier.verify(found, clock()) : found
  }

  return { name: 'jwt', proves: true, vary: 'authorization', claim }
}

function read(
  claimName: ClaimPath,
  by: 'id' | 'slug' | undefined,
  issuer: Issuer,
  payload: JWTPayload
): Claim | Refusal {
  const named = tenantName(claimIn(payload, claimName))
  if (named === undefined || (by !== undefined && named.by !== by)) {
    return new Refusal('malformed', 'jwt', `The token has no ${by ?? 'id or slug'} as ${[claimName].flat().join('.')}.`)
  }
  const identity = { issuer: issuer.iss, userId: typeof payload.sub === 'string' ? payload.sub : undefined, payload }
  return Object.freeze({ ...named, source: 'jwt', verified: true, identity: Object.freeze(identity) })
}

/** The Authorization header's, of the Bearer scheme; another scheme says nothing about the tenant. */
export function bearerToken(request: RequestFacts): string | Refusal | undefined {
  const at = headerAt(request, 'authorization')
  const value = request.rawHeaders[at]
  if (value === undefined) return undefined
  if (headerAt(request, 'authorization', at + 1) !== -1)
    return new Refusal('malformed', 'jwt', 'The request has two Authorization headers.')
  if (value.startsWith('Bearer ')) return value.slice(7)
  return /^bearer +/i.test(value) ? value.slice(7).trimStart() : undefined
}
