import type { Actor } from '../catalog/audit.js'
import type { Queryable } from '../catalog/catalog.js'
import { type OperatorRole, operatorAsks } from '../catalog/operators.js'
import { SaasctlError } from '../errors.js'
import type { Secret } from '../secret.js'
import { tokenHash } from './token.js'

/**
 * Who calls, and as what: an operator in its role; `owner`, who holds the catalog's login before there is an admin;
 * `anyone`, who has that login and no token while there are admins.
 */
export interface Caller {
  actor: Actor
  role: OperatorRole | 'owner' | 'anyone'
}

export interface Claim {
  token: Secret | null
  /** Written down, marked as asserted, when there is no token. */
  assertedName: string
  /** Lets a caller without a token change things although there is an admin. */
  assertedMayChange: boolean
}

/** NOT_ALLOWED for a token that is unknown, revoked or over its time. The login bounds what a token can give. */
export async function callerOf(catalog: Queryable, claim: Claim): Promise<Caller> {
  const asking = await operatorAsks(catalog, claim.token && tokenHash(claim.token))
  const { control = false, guarded = true, id, name, role, expired } = asking ?? {}
  if (claim.token === null) {
    const actor: Actor = { name: claim.assertedName, proof: 'asserted' }
    if (!control) return { actor, role: 'auditor' }
    return { actor, role: guarded && !claim.assertedMayChange ? 'anyone' : 'owner' }
  }
  if (!id || !name || !role) {
    throw new SaasctlError('NOT_ALLOWED', 'The operator’s token is not known, or was revoked.', {
      hint: 'Ask an admin for a new one: saasctl operator token NAME'
    })
  }
  if (expired) {
    throw new SaasctlError('NOT_ALLOWED', `The token of operator ${name} is over its time.`, {
      hint: `Ask an admin for a new one: saasctl operator token ${name}`
    })
  }
  return { actor: { name, proof: 'proven', operatorId: id }, role: control ? role : 'auditor' }
}
