import type { Json } from '../canonical.js'
import { type NamedApproval, scrubApprovals } from '../catalog/approvals.js'
import { tenantEvent } from '../catalog/audit.js'
import type { Transaction } from '../catalog/catalog.js'
import { forgetCopies, forgetDatabasesBefore, heldBackup } from '../catalog/copies.js'
import { unplace } from '../catalog/databases.js'
import { scrubTenant } from '../catalog/erasure.js'
import { exportById, insertExport, setExportStatus } from '../catalog/exports.js'
import { forgetHostnames } from '../catalog/hostnames.js'
import type { OperationRow } from '../catalog/operations.js'
import { type PlacedTenant, quarantineSlug, setTenantStatus, type TenantStatus } from '../catalog/tenants.js'
import { recordDropped } from '../databases/drop-steps.js'
import { loginRoles } from '../engines/engine.js'
import { SaasctlError } from '../errors.js'
import { uuidv7 } from '../names.js'
import type { Context, Kind, Step } from '../operations/kind.js'
import { startOperation } from '../operations/start.js'
import { askApproval, type CarryOut } from '../operators/approvals.js'
import { certificateOf } from './certificate.js'
import { EraseWork } from './erase-work.js'
import { inState, lockForChange, mustFind } from './find.js'
import { refuseHeld } from './hold.js'

export interface EraseInput extends Record<string, Json> {
  tenantId: string
  /** Null for a tenant that was purged before: then there is no database any more, but keys, copies and the trail. */
  databaseId: string | null
  /** The export that is handed over before; null or absent where none was asked for. */
  exportId: string | null
  /** Gone from the row once the trail is erased. */
  slug: string
  approvalId: string
}

const readable: TenantStatus[] = ['active', 'suspended']
const appLogins = ['app_a', 'app_b'] as const
const erasable: TenantStatus[] = ['active', 'suspended', 'deleted', 'purging', 'purged']

/**
 * The end of a tenant and of what is known of it: database, logins, key, and every word of it in the catalog. Then it is
 * looked whether that is so, and a certificate is signed. Only forward: what is half erased is finished.
 */
export const eraseWith = (handOver: Step<EraseWork>): Kind<EraseInput, EraseWork> => ({
  name: 'tenant.erase',
  inputVersion: 1,
  exclusion: 'exclusive',
  pivot: 'start',
  open: (tools, operation) => EraseWork.open(tools, operation),
  steps: [
    // Nobody changes what is handed over after that.
    { name: 'close app logins', act: work => work.closeLogins(appLogins) },
    handOver,
    { name: 'close logins', act: work => work.closeLogins(loginRoles) },
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
        const { tenantId, databaseId, approvalId, exportId = null } = work.operation.input as EraseInput
        const erased = { tenantId, approvalId, databaseId, exportId }
        const payload = await certificateOf(tx, work.tools.keys, erased)
        tx.audit({ chain: 'erasure', action: 'erasure.certificate', subject: `tenant:${tenantId}`, payload })
      }
    }
  ],
  failed: async (tx, { input }) => {
    const { exportId } = input
    if (exportId && (await exportById(tx, exportId))?.status === 'making') await setExportStatus(tx, exportId, 'failed')
  }
})

/** What promising it needs to know: the names of its steps. */
const head = eraseWith({ name: 'hand over' })

/** For whom the last export is, and where it goes: a file or a bucket that is not ours, because ours is emptied. */
export interface LastExport extends Record<string, Json> {
  target: string
  container: 'tar.gz' | 'zip'
  /** PEM of whoever alone can read it. */
  certificate: string
}

/**
 * Asks for the erasure; it begins when a second operator approves. TENANT_HELD under a legal hold; TENANT_STATE when there is
 * to be a last export of a tenant whose read-only login is closed.
 */
export async function askErase(
  context: Context,
  slug: string,
  reason: string,
  lastExport?: LastExport
): Promise<NamedApproval> {
  const { id } = await mustFind(context.catalog, slug)
  const wish = { action: 'tenant.erase', tenantId: id, reason, ...(lastExport && { input: lastExport }) }
  return askApproval(context, wish, async tx => {
    const tenant = await lockForChange(tx, id, 'erased', erasable)
    await refuseAnyHold(tx, tenant)
    if (lastExport) inState(tenant, 'exported', readable)
  })
}

export const carryOutErase: CarryOut = async (tx, context, approval, claim): Promise<OperationRow> => {
  const tenant = await lockForChange(tx, approval.tenantId, 'erased', erasable)
  await refuseAnyHold(tx, tenant)
  const lastExport = approval.input['target'] === undefined ? undefined : (approval.input as LastExport)
  if (lastExport) inState(tenant, 'exported', readable)
  if (tenant.status !== 'purged') await setTenantStatus(tx, tenant.id, 'purging')
  const { reason, id: approvalId } = approval
  tx.audit(tenantEvent(tenant.id, 'tenant.erase', { before: tenant.status, approval: approvalId, reason }))
  const exportId = lastExport ? uuidv7() : null
  const { databaseId, slug, id: tenantId } = tenant
  const input: EraseInput = { tenantId, databaseId, slug, approvalId, exportId }
  const { actor } = context
  const subject = `tenant:${tenantId}`
  const operation = await startOperation(tx, { kind: head, input, subject, tenantId, actor, claim })
  if (lastExport && exportId) {
    const wish = { ...lastExport, formats: ['jsonl', 'csv'], masked: false, actor, reason }
    await insertExport(tx, { ...wish, id: exportId, tenantId, operationId: operation.id })
  }
  return operation
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
