import { tenantEvent } from '../catalog/audit.js'
import { violates } from '../catalog/errors.js'
import { type PlacedTenant, quarantineSlug, renameTenant as writeSlug } from '../catalog/tenants.js'
import { parseSlug } from '../names.js'
import type { Context } from '../operations/kind.js'
import { lockForChange, mustFind } from './find.js'
import { checkQuarantine, slugTaken } from './slugs.js'

/**
 * Gives the tenant another slug. Only the catalog changes: no server knows the slug. The old one is kept back for a while,
 * and this tenant may have it again at once.
 */
export async function renameTenant(context: Context, from: string, to: string): Promise<PlacedTenant> {
  const slug = parseSlug(to)
  const id = await context.catalog
    .transaction(context.actor, async tx => {
      const tenant = await lockForChange(tx, from, 'renamed', ['active', 'suspended'])
      if (tenant.slug === slug) return tenant.id
      await writeSlug(tx, tenant.id, slug)
      // Looked at after the writing, which has waited for whoever was just freeing the slug.
      await checkQuarantine(tx, slug, tenant.id)
      await quarantineSlug(tx, tenant.slug, tenant.id, context.grace.slugSeconds)
      tx.audit(tenantEvent(tenant.id, 'tenant.rename', { before: tenant.slug, after: slug }))
      return tenant.id
    })
    .catch(error => {
      throw violates(error, 'tenant_slug') ? slugTaken(slug) : error
    })
  return mustFind(context.catalog, id)
}
