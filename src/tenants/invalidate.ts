import { tenantEvent } from '../catalog/audit.js'
import { type PlacedTenant, voidCache } from '../catalog/tenants.js'
import type { Context } from '../operations/kind.js'
import { lockForChange, mustFind } from './find.js'

/** Voids everything that applications keep of the tenant under `tenantKey`, in every process, by another version in the keys. */
export async function invalidateCache(context: Context, slug: string): Promise<PlacedTenant> {
  const id = await context.catalog.transaction(context.actor, async tx => {
    const tenant = await lockForChange(tx, slug, 'invalidated', ['active', 'suspended'])
    await voidCache(tx, tenant.id)
    tx.audit(tenantEvent(tenant.id, 'tenant.invalidate'))
    return tenant.id
  })
  return mustFind(context.catalog, id)
}
