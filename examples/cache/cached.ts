import type { KeyPart, Tenant } from '../../src/router.js'

/** What is needed of a Redis client. */
export interface Cache {
  get(key: string): Promise<string | null>
  set(key: string, value: string, options: { expiration: { type: 'EX'; value: number } }): Promise<unknown>
}

/**
 * A read through Redis, of what JSON can hold. The key belongs to the tenant, so that no request can meet another's entry, and
 * changes when `saasctl tenant invalidate` or `app.tenants.invalidate` voids the tenant's cache or the tenant is restored:
 * what was kept under the old key, even a moment later by a read that began before, is never read again and expires by
 * itself. Without Redis it is a read.
 */
export async function cached<T>(
  cache: Cache,
  tenant: Tenant,
  key: KeyPart[],
  seconds: number,
  read: () => Promise<T>
): Promise<T> {
  const name = tenant.key(...key)
  const kept = await cache.get(name).catch(() => null)
  if (kept !== null) return JSON.parse(kept) as T
  const fresh = await read()
  await cache.set(name, JSON.stringify(fresh), { expiration: { type: 'EX', value: seconds } }).catch(() => {})
  return fresh
}
