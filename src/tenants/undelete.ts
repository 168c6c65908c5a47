import { tenantEvent } from '../catalog/audit.js'
import { markUndeleted, statusBeforeDelete } from '../catalog/tenants.js'
import type { DatabaseWork } from '../databases/work.js'
import type { LoginRole } from '../engines/engine.js'
import type { Context, Kind } from '../operations/kind.js'
import { lockForChange } from './find.js'
import { changeTenant, openTenantWork, startOnTenant, type TenantInput, type TenantOutcome, type Wait } from './work.js'

interface UndeleteInput extends TenantInput {
  before: 'active' | 'suspended'
}

/** A tenant that was suspended when it was deleted comes back suspended. */
function openAgain(before: 'active' | 'suspended'): LoginRole[] {
  return before === 'active' ? ['owner', 'readonly', 'app_a', 'app_b'] : ['owner', 'readonly']
}

export const tenantUndelete: Kind<UndeleteInput, DatabaseWork> = {
  name: 'tenant.undelete',
  inputVersion: 1,
  exclusion: 'exclusive',
  open: openTenantWork,
  steps: [
    {
      name: 'open logins',
      act: ({ session, names, operation }) =>
        session.openLogins(names, openAgain((operation.input as UndeleteInput).before)),
      undo: ({ session, names }) => session.closeLogins(names, ['owner', 'readonly', 'app_a', 'app_b'])
    },
    {
      name: 'activate',
      commit: async (tx, { operation }) => {
        const { tenantId, before } = operation.input as UndeleteInput
        await markUndeleted(tx, tenantId, before)
        tx.audit(tenantEvent(tenantId, before === 'active' ? 'tenant.activate' : 'tenant.undeleted', { after: before }))
      }
    }
  ]
}

/** Brings a deleted tenant back, to what it was, as long as its grace lasts. */
export function undeleteTenant(context: Context, slug: string, options: Wait): Promise<TenantOutcome> {
  return changeTenant(context, options, async (tx, claim) => {
    const tenant = await lockForChange(tx, slug, 'brought back', ['deleted'])
    const before = await statusBeforeDelete(tx, tenant.id)
    tx.audit(tenantEvent(tenant.id, 'tenant.undelete', { after: before }))
    return startOnTenant(tx, context, tenantUndelete, tenant, claim, { before })
  })
}
