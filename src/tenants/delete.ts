import { tenantEvent } from '../catalog/audit.js'
import { markDeleted } from '../catalog/tenants.js'
import type { DatabaseWork } from '../databases/work.js'
import type { Context, Kind } from '../operations/kind.js'
import { lockForChange } from './find.js'
import { REQUESTS_MS } from './suspend.js'
import { changeTenant, openTenantWork, startOnTenant, type TenantInput, type TenantOutcome, type Wait } from './work.js'

/** Nobody gets in any more; everything stays as it is until the grace is over. */
export const tenantDelete: Kind<TenantInput, DatabaseWork> = {
  name: 'tenant.delete',
  inputVersion: 1,
  exclusion: 'exclusive',
  pivot: 'start',
  open: openTenantWork,
  steps: [
    {
      name: 'close logins',
      act: ({ session, names }) => session.closeLogins(names, ['app_a', 'app_b', 'readonly', 'owner'], REQUESTS_MS)
    }
  ]
}

/** Deletes the tenant with grace: it can come back until `purgeAt`. The grace is the configured one unless given. */
export function deleteTenant(
  context: Context,
  slug: string,
  options: Wait & {
    graceSeconds?: number | undefined
    reason?: string | undefined
    /** False: at the end of its grace no last backup is made. */
    finalBackup?: boolean | undefined
  }
): Promise<TenantOutcome> {
  return changeTenant(context, options, async (tx, claim) => {
    const tenant = await lockForChange(tx, slug, 'deleted', ['active', 'suspended'])
    const purgeAt = await markDeleted(
      tx,
      tenant.id,
      options.graceSeconds ?? context.grace.deleteSeconds,
      options.finalBackup ?? true
    )
    tx.audit(
      tenantEvent(tenant.id, 'tenant.delete', {
        before: tenant.status,
        purgeAt: purgeAt.toISOString(),
        reason: options.reason,
        finalBackup: options.finalBackup ?? true
      })
    )
    return startOnTenant(tx, context, tenantDelete, tenant, claim)
  })
}
