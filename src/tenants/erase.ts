import type { Json } from '../canonical.js'
import { type NamedApproval, scrubApprovals } from '../catalog/approvals.js'
import { tenantEvent } from '../catalog/audit.js'
import type { Transaction } from '../catalog/catalog.js'
import { forgetCopies, forgetDatabasesBefore, heldBackup } from '../catalog/copies.js'
import { unplace } from '../catalog/databases.js'
import { scrubTenant } from '../catalog/erasure.js'
import { forgetHostnames } from '../catalog/hostnames.js'
import type { OperationRow } from '../catalog/operations.js'
import { type PlacedTenant, quarantineSlug, setTenantStatus, type TenantStatus } from '../catalog/tenants.js'
import { recordDropped } from '../databases/drop-steps.js'
import { SaasctlError } from '../errors.js'
import type { Context, Kind } from '../operations/kind.js'
import { startOperation } from '../operations/start.js'
import { askApproval, type CarryOut } from '../operators/approvals.js'
import { certificateOf } from './certificate.js'
import { EraseWork } from './erase-work.js'
import { lockForChange, mustFind } from './find.js'
import { refuseHeld } from './hold.js'

export interface EraseInput extends Record<string, Json> {
  tenantId: string
  /** Null for a tenant that was purged before: then there is no database any more, but keys, copies and the trail. */
  databaseId: string | null
  /** Gone from the row once the trail is erased. */
  slug: string
  approvalId: string
}

const erasable: TenantStatus[] = ['active', 'suspended', 'deleted', 'purging', 'purged']

/**
 * The end of a tenant and of what is known of it: database, logins, key, and every word of it in the catalog. Then it is
 * looked whether that is so, and a certificate is signed. Only forward: what is half erased is finished.
 */
export const tenantErase: Kind<EraseInput, EraseWork> = {
  name: 'tenant.erase',
  inputVersion: 1,
  exclusion: 'exclusive',
  pivot: 'start',
  open: (tools, operation) => EraseWork.open(tools, operation),
  steps: [
    { name: 'close logins', act: work => work.closeLogins() },
    { name: 'drop databases', act: work => work.dropDatabases() },
    { name: 'delete copies', act: work => work.deleteCopies() },
    { name: 'destroy key', act: work => work.destroyKey() },
    { name: 'look that it is gone', act: work => work.confirmGone() },
    {
      name: 'erase the trail',
      commit: async (tx, { operation, databaseIds, tools }) => {
        const { tenantId, databaseId, slug, approvalId } = operation.input as EraseInput
        await unplace(tx, tenantId)
        await forgetHostnames(tx, tenantId)
        for (const id of databaseIds) await recordDropped(tx, id)
        await forgetDatabasesBefore(tx, tenantId)
        await forgetCopies(tx, tenantId)
        if (databaseId !== null) await quarantineSlug(tx, slug, tenantId, tools.grace.slugSeconds)
        await setTenantStatus(tx, tenantId, 'purged')
        await scrubApprovals(tx, tenantId)
        await scrubTenant(tx, tenantId, slug)
        tx.audit(tenantEvent(tenantId, 'tenant.erased', { approval: approvalId }))
        tx.audit({ ...tenantEvent(tenantId, 'audit.erase', { approval: approvalId }), erases: true })
      }
    },
    {
      name: 'certify',
      commit: async (tx, work) => {
        const { tenantId, databaseId, approvalId } = work.operation.input as EraseInput
        const payload = await certificateOf(tx, work.tools.keys, { tenantId, approvalId, databaseId })
        tx.audit({ chain: 'erasure', action: 'erasure.certificate', subject: `tenant:${tenantId}`, payload })
      }
    }
  ]
}

/** Asks for the erasure; it begins when a second operator approves. TENANT_HELD under a legal hold. */
export async function askErase(context: Context, slug: string, reason: string): Promise<NamedApproval> {
  const { id } = await mustFind(context.catalog, slug)
  return askApproval(context, { action: 'tenant.erase', tenantId: id, reason }, async tx =>
    refuseAnyHold(tx, await lockForChange(tx, id, 'erased', erasable))
  )
}

export const carryOutErase: CarryOut = async (tx, context, approval, claim): Promise<OperationRow> => {
  const tenant = await lockForChange(tx, approval.tenantId, 'erased', erasable)
  await refuseAnyHold(tx, tenant)
  if (tenant.status !== 'purged') await setTenantStatus(tx, tenant.id, 'purging')
  const { reason, id: approvalId } = approval
  tx.audit(tenantEvent(tenant.id, 'tenant.erase', { before: tenant.status, approval: approvalId, reason }))
  const input: EraseInput = { tenantId: tenant.id, databaseId: tenant.databaseId, slug: tenant.slug, approvalId }
  const subject = `tenant:${tenant.id}`
  return startOperation(tx, { kind: tenantErase, input, subject, tenantId: tenant.id, actor: context.actor, claim })
}

/** A hold on one of its backups keeps that backup, and so keeps the tenant from being erased. */
async function refuseAnyHold(tx: Transaction, tenant: PlacedTenant): Promise<void> {
  await refuseHeld(tx, tenant)
  const reason = await heldBackup(tx, tenant.id)
  if (reason === undefined) return
  throw new SaasctlError('TENANT_HELD', `A backup of tenant ${tenant.slug} is held: ${reason}.`, {
    hint: `Release it first: saasctl backup list ${tenant.slug}`
  })
}
