import { tenantEvent } from '../catalog/audit.js'
import { cancelKind } from '../catalog/operations.js'
import { setTenantStatus } from '../catalog/tenants.js'
import type { DatabaseWork } from '../databases/work.js'
import type { Context, Kind } from '../operations/kind.js'
import { lockForChange } from './find.js'
import { changeTenant, openTenantWork, startOnTenant, type TenantInput, type TenantOutcome, type Wait } from './work.js'

/** How long requests that are under way may go on; routers let nobody new in meanwhile, and give up idle connections. */
export const REQUESTS_MS = 4_000

/** The server refuses the app logins and ends their sessions. Only forward: a suspension that half happened is finished. */
export const tenantSuspend: Kind<TenantInput, DatabaseWork> = {
  name: 'tenant.suspend',
  inputVersion: 1,
  exclusion: 'preempts',
  pivot: 'start',
  open: openTenantWork,
  steps: [
    { name: 'close logins', act: ({ session, names }) => session.closeLogins(names, ['app_a', 'app_b'], REQUESTS_MS) }
  ]
}

/**
 * Suspends the tenant: routers refuse it from the first commit on, the server a moment later; what was under way then may
 * finish within four seconds. Suspending again is OK.
 */
export function suspendTenant(
  context: Context,
  slug: string,
  options: Wait & { reason?: string | undefined }
): Promise<TenantOutcome> {
  return changeTenant(context, options, async (tx, claim) => {
    const tenant = await lockForChange(tx, slug, 'suspended', ['active', 'suspended'])
    await setTenantStatus(tx, tenant.id, 'suspended')
    await cancelKind(tx, tenant.id, 'tenant.resume')
    tx.audit(tenantEvent(tenant.id, 'tenant.suspend', { before: tenant.status, reason: options.reason }))
    return startOnTenant(tx, context, tenantSuspend, tenant, claim)
  })
}
