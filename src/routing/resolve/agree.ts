import type { Claim } from './claim.js'
import { Refusal } from './refusal.js'

/**
 * Whether the claims led to one and the same tenant, by its id: a slug in the hostname and an id in the token may well
 * be the same. `found` holds what the lookup gave for each claim, in order.
 */
export function agree<T extends { readonly tenantId: string }>(
  claims: readonly Claim[],
  found: ReadonlyArray<T | undefined>
): T | Refusal {
  const [tenant] = found
  let index = 0
  for (const claim of claims) {
    const other = found[index++]
    if (other === undefined)
      return new Refusal('unknown', claim.source, `There is no tenant with the ${claim.by} ${claim.value}.`)
    if (other.tenantId !== tenant?.tenantId) return new Refusal('disagree', claim.source, disagreement(claims))
  }
  return tenant ?? new Refusal('absent', undefined, 'The request names no tenant.')
}

function disagreement(claims: readonly Claim[]): string {
  return `The request names different tenants: ${claims.map(({ source, by, value }) => `${source} ${by} ${value}`).join(', ')}.`
}
