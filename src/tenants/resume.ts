import { tenantEvent } from '../catalog/audit.js'
import { setTenantStatus } from '../catalog/tenants.js'
import type { DatabaseWork } from '../databases/work.js'
import type { Context, Kind } from '../operations/kind.js'
import { lockForChange } from './find.js'
import { changeTenant, openTenantWork, startOnTenant, type TenantInput, type TenantOutcome, type Wait } from './work.js'

/** The logins open first, then the routers are told: no request meets a closed door. A suspension meanwhile wins. */
export const tenantResume: Kind<TenantInput, DatabaseWork> = {
  name: 'tenant.resume',
  inputVersion: 1,
  exclusion: 'exclusive',
  open: openTenantWork,
  steps: [
    {
      name: 'open logins',
      act: async ({ session, names }) => {
        await session.unsealDatabase(names)
        await session.openLogins(names, ['owner', 'app_a', 'app_b', 'readonly'])
      },
      undo: ({ session, names }) => session.closeLogins(names, ['app_a', 'app_b'])
    },
    {
      name: 'activate',
      commit: async (tx, { operation }) => {
        const { tenantId } = operation.input as TenantInput
        await setTenantStatus(tx, tenantId, 'active')
        tx.audit(tenantEvent(tenantId, 'tenant.activate'))
      }
    }
  ]
}

/** Lets a suspended tenant in again. Resuming an active one is OK and opens what somebody closed by hand. */
export function resumeTenant(context: Context, slug: string, options: Wait): Promise<TenantOutcome> {
  return changeTenant(context, options, async (tx, claim) => {
    const tenant = await lockForChange(tx, slug, 'resumed', ['suspended', 'active'])
    tx.audit(tenantEvent(tenant.id, 'tenant.resume', { before: tenant.status }))
    return startOnTenant(tx, context, tenantResume, tenant, claim)
  })
}
