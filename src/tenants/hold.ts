import { isAskedFor, type NamedApproval } from '../catalog/approvals.js'
import { tenantEvent } from '../catalog/audit.js'
import type { Queryable } from '../catalog/catalog.js'
import { deleteHold, holdOf, insertHold } from '../catalog/holds.js'
import { SaasctlError } from '../errors.js'
import type { Context } from '../operations/kind.js'
import { askApproval, type CarryOut } from '../operators/approvals.js'
import { lockForChange, mustFind } from './find.js'

const holdable = ['active', 'suspended', 'deleted'] as const

/** Asks for a legal hold. It keeps the tenant from being destroyed from now on, and takes effect when a second operator approves. */
export async function askHold(context: Context, slug: string, reason: string): Promise<NamedApproval> {
  const { id } = await mustFind(context.catalog, slug)
  return askApproval(context, { action: 'hold.set', tenantId: id, reason }, async tx => {
    const tenant = await lockForChange(tx, id, 'held', [...holdable])
    if (await holdOf(tx, id)) throw new SaasctlError('TENANT_HELD', `Tenant ${tenant.slug} is held already.`)
  })
}

/** Asks for the hold to be released; it stands until a second operator approves. */
export async function askRelease(context: Context, slug: string, reason: string): Promise<NamedApproval> {
  const { id, slug: name } = await mustFind(context.catalog, slug)
  return askApproval(context, { action: 'hold.release', tenantId: id, reason }, async tx => {
    if (!(await holdOf(tx, id))) throw new SaasctlError('TENANT_STATE', `Tenant ${name} is not held.`)
  })
}

export const carryOutHold: CarryOut = async (tx, _context, approval) => {
  const { id } = await lockForChange(tx, approval.tenantId, 'held', [...holdable])
  await insertHold(tx, { tenantId: id, reason: approval.reason, approvalId: approval.id })
  tx.audit(tenantEvent(id, 'hold.set', { approval: approval.id, reason: approval.reason }))
  return null
}

export const carryOutRelease: CarryOut = async (tx, _context, approval) => {
  const { id } = await lockForChange(tx, approval.tenantId, 'released', [...holdable])
  await deleteHold(tx, id)
  tx.audit(tenantEvent(id, 'hold.release', { approval: approval.id, reason: approval.reason }))
  return null
}

/**
 * TENANT_HELD while a hold is on the tenant, and while one is asked for: what was destroyed in between could not be held
 * any more. Asked with the tenant's row locked.
 */
export async function refuseHeld(q: Queryable, tenant: { id: string; slug: string }): Promise<void> {
  const hold = await holdOf(q, tenant.id)
  if (hold) {
    const since = hold.since.toISOString().slice(0, 10)
    throw new SaasctlError(
      'TENANT_HELD',
      `Tenant ${tenant.slug} is under a legal hold since ${since}: ${hold.reason}.`,
      {
        hint: `Two operators can release it: saasctl tenant release ${tenant.slug} --reason TEXT`
      }
    )
  }
  if (!(await isAskedFor(q, tenant.id, 'hold.set'))) return
  throw new SaasctlError('TENANT_HELD', `A legal hold on tenant ${tenant.slug} is asked for and not decided yet.`, {
    hint: 'See it with "saasctl approval list".'
  })
}
