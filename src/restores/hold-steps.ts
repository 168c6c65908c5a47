import { tenantEvent } from '../catalog/audit.js'
import { setHeld } from '../catalog/replaced.js'
import type { Step } from '../operations/kind.js'
import { REQUESTS_MS } from '../tenants/suspend.js'
import type { BesideWork } from './work.js'

/** Routers let nobody in any more. */
export const hold: Step<BesideWork> = {
  name: 'hold',
  commit: async (tx, { heldTenantId }) => {
    await setHeld(tx, heldTenantId, true)
    tx.audit(tenantEvent(heldTenantId, 'tenant.requests-held'))
  },
  undo: letGo
}

/** Nobody gets in to the tenant's present database any more, and nobody is inside. Taken back, everybody may again. */
export const holdSteps: ReadonlyArray<Step<BesideWork>> = [
  hold,
  {
    name: 'close old logins',
    act: ({ session, other }) => session.closeLogins(other.names, ['app_a', 'app_b', 'readonly', 'owner'], REQUESTS_MS),
    undo: async work => {
      await work.session.openLogins(work.other.names, ['owner', 'readonly', ...(await work.otherAppLogins())])
    }
  }
]

export async function letGo({ tools, operation, heldTenantId }: BesideWork): Promise<void> {
  await tools.catalog.transaction(operation.actor, async tx => {
    await setHeld(tx, heldTenantId, false)
    tx.audit(tenantEvent(heldTenantId, 'tenant.requests-let-in'))
  })
}
