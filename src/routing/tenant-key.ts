import { SaasctlError } from '../errors.js'
import type { Route } from './route.js'

/** What a part of a key may be; it counts as its text. */
export type KeyPart = string | number | bigint

/**
 * A key for a shared cache that no other tenant can have: `t:<tenant>:<database>:<version>:user:42`. The database is in it so
 * that a restored tenant never reads what was cached before, and the version so that all of a tenant's keys can be voided at
 * once. Two lists of parts never give the same key. USAGE without a part, or for half a character.
 */
export function tenantKey({ tenantId, databaseId, cacheVersion }: Route, parts: readonly KeyPart[]): string {
  if (parts.length === 0) {
    throw new SaasctlError('USAGE', 'A cache key needs at least one part.', { hint: 'As in tenant.key("user", id).' })
  }
  return `t:${short(tenantId)}:${short(databaseId)}:${cacheVersion}:${parts.map(encoded).join(':')}`
}

function encoded(part: KeyPart): string {
  try {
    return encodeURIComponent(String(part))
  } catch {
    throw new SaasctlError('USAGE', 'A part of a cache key is not well-formed text.')
  }
}

const short = (uuid: string) => uuid.replaceAll('-', '')
