import type { Claim, Source } from './claim.js'
import { unusable } from './config.js'
import type { RequestFacts } from './facts.js'
import { type ClaimPath, claimIn, isClaimPath, isFor, isRecord } from './payload.js'
import { Refusal } from './refusal.js'
import { tenantName } from './tenant-name.js'

export interface VerifiedUserOptions {
  /** Compared once more, when given: @fastify/jwt lets a token without `iss` or `aud` pass unless they are in `requiredClaims`. */
  iss?: string | readonly string[]
  aud?: string | readonly string[]
}

/**
 * The tenant is a claim of `request.user`, for an application that verifies its tokens itself. It holds under these
 * conditions:
 * - the hook that fills `request.user` runs before the router's and fills it from a verified token only;
 * - with @fastify/jwt, `verify` pins `algorithms`, `allowedIss`, `allowedAud` and `requiredClaims: ['iss', 'aud', 'exp', claim]`,
 *   and sets no `cacheKeyBuilder` (CVE-2026-35039: a collision returns another user's claims);
 * - a refresh token cannot be used as an access token.
 * `fromJwt` needs none of this. An application's `formatUser` must keep the claim, and `iss` and `aud` where they are
 * compared.
 */
export function fromVerifiedUser(claimName: ClaimPath, options: VerifiedUserOptions = {}): Source {
  if (!isClaimPath(claimName)) throw unusable('fromVerifiedUser: the name of the claim is empty.')
  const issuers = options.iss === undefined ? undefined : [options.iss].flat()
  const audiences = options.aud === undefined ? undefined : [options.aud].flat()

  function claim({ user }: RequestFacts): Claim | Refusal | undefined {
    if (user === undefined || user === null) return undefined
    if (!isRecord(user)) return new Refusal('malformed', 'jwt', 'request.user is not an object.')
    const { iss, aud, exp, sub } = user
    if (issuers && !(typeof iss === 'string' && issuers.includes(iss))) return wrong('issuer')
    if (audiences && !isFor(aud, audiences)) return wrong('audience')
    if (exp !== undefined && !(typeof exp === 'number' && exp * 1000 > Date.now())) {
      return new Refusal('expired', 'jwt', 'The token of request.user is over.')
    }
    const named = tenantName(claimIn(user, claimName))
    if (named === undefined)
      return new Refusal('malformed', 'jwt', `request.user has no id or slug as ${[claimName].flat().join('.')}.`)
    const userId = typeof sub === 'string' ? sub : undefined
    const identity = { issuer: typeof iss === 'string' ? iss : '', userId, payload: user }
    return { ...named, source: 'jwt', verified: true, identity }
  }

  return { name: 'jwt', proves: true, claim }
}

function wrong(what: string): Refusal {
  return new Refusal('unverified', 'jwt', `The token of request.user is not of the right ${what}.`)
}
