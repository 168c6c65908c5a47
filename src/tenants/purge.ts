import { tenantEvent } from '../catalog/audit.js'
import { unplace } from '../catalog/databases.js'
import { forgetHostnames } from '../catalog/hostnames.js'
import { quarantineSlug, setTenantStatus, tenantsToPurge } from '../catalog/tenants.js'
import { dropSteps, recordDropped } from '../databases/drop-steps.js'
import type { DatabaseWork } from '../databases/work.js'
import { asSaasctlError } from '../errors.js'
import type { Context, Kind } from '../operations/kind.js'
import { lockForChange } from './find.js'
import { refuseHeld } from './hold.js'
import { changeTenant, openTenantWork, startOnTenant, type TenantInput, type TenantOutcome, type Wait } from './work.js'

/** The end of a tenant: logins, database and placement go; the row stays as proof, its slug is kept back. */
export const tenantPurge: Kind<TenantInput, DatabaseWork> = {
  name: 'tenant.purge',
  inputVersion: 1,
  exclusion: 'exclusive',
  pivot: 'start',
  open: openTenantWork,
  steps: [
    ...dropSteps,
    {
      name: 'forget it',
      commit: async (tx, { operation, database, tools }) => {
        const { tenantId, slug } = operation.input as TenantInput
        await unplace(tx, tenantId)
        const domains = await forgetHostnames(tx, tenantId)
        await recordDropped(tx, database.id)
        await quarantineSlug(tx, slug, tenantId, tools.grace.slugSeconds)
        await setTenantStatus(tx, tenantId, 'purged')
        tx.audit(tenantEvent(tenantId, 'tenant.purged', { database: database.name, domains }))
      }
    }
  ]
}

/** Deletes the tenant for good, now: nothing of it can come back. */
export function purgeTenant(
  context: Context,
  slug: string,
  options: Wait & { reason?: string | undefined }
): Promise<TenantOutcome> {
  return changeTenant(context, options, async (tx, claim) => {
    const tenant = await lockForChange(tx, slug, 'purged', ['active', 'suspended', 'deleted', 'purging'])
    await refuseHeld(tx, tenant)
    await setTenantStatus(tx, tenant.id, 'purging')
    tx.audit(tenantEvent(tenant.id, 'tenant.purge', { before: tenant.status, reason: options.reason }))
    return startOnTenant(tx, context, tenantPurge, tenant, claim)
  })
}

/** Promises the end of every tenant whose grace is over; workers do the rest. Called once a minute. */
export async function purgeDue(context: Context): Promise<number> {
  let purged = 0
  for (const { id } of await tenantsToPurge(context.catalog, 100)) {
    try {
      await purgeTenant(context, id, { wait: false, reason: 'the grace is over' })
      purged += 1
    } catch (thrown) {
      // Somebody has begun something with it in between, or brought it back: the others do not wait for that.
      if (!['TENANT_BUSY', 'TENANT_STATE', 'TENANT_HELD'].includes(asSaasctlError(thrown).code)) throw thrown
    }
  }
  return purged
}
