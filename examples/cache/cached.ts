import type { RedisClientType } from '@redis/client'
import type { KeyPart, Tenant } from '../../src/router.js'

/**
 * A read through Redis. The key belongs to the tenant, so that no request can meet another's entry, and changes when
 * `saasctl tenant invalidate` or `app.tenants.invalidate` voids the tenant's cache or the tenant is restored: what was kept
 * under the old key is never read again and expires by itself.
 */
export async function cached<T>(
  redis: Pick<RedisClientType, 'get' | 'set'>,
  tenant: Tenant,
  key: KeyPart[],
  seconds: number,
  read: () => Promise<T>
): Promise<T> {
  const name = tenant.key(...key)
  const kept = await redis.get(name)
  if (kept !== null) return JSON.parse(kept) as T
  const fresh = await read()
  await redis.set(name, JSON.stringify(fresh), { expiration: { type: 'EX', value: seconds } })
  return fresh
}
