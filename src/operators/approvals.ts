import type { Json } from '../canonical.js'
import {
  type ApprovalRow,
  approvalById,
  decideApproval,
  insertApproval,
  lockApproval,
  type NamedApproval
} from '../catalog/approvals.js'
import { tenantEvent } from '../catalog/audit.js'
import type { Transaction } from '../catalog/catalog.js'
import { violates } from '../catalog/errors.js'
import type { OperationRow } from '../catalog/operations.js'
import { SaasctlError } from '../errors.js'
import { isUuid, quoteInput, uuidv7 } from '../names.js'
import type { Context } from '../operations/kind.js'
import type { Follow } from '../operations/operations.js'

/** Long enough for a weekend; what nobody decided by then has to be asked for again. */
export const approvalLifeSeconds = 72 * 3600

/** Does what was approved, in the transaction that approves it. Gives the operation that it promised, if it takes one. */
export type CarryOut = (
  tx: Transaction,
  context: Context,
  approval: NamedApproval,
  claim: { owner: string; leaseMs: number } | null
) => Promise<OperationRow | null>

/** What can be approved, by action. */
export type Approvable = (action: string) => Promise<CarryOut>

/** Asks for what takes two operators. `check` refuses early what could not be done anyway. */
export async function askApproval(
  context: Context,
  wish: { action: string; tenantId: string; input?: Record<string, Json>; reason: string },
  check: (tx: Transaction) => Promise<unknown>
): Promise<NamedApproval> {
  const requestedBy = provenOperator(context, nameOf(wish.action))
  const id = uuidv7()
  try {
    await context.catalog.transaction(context.actor, async tx => {
      await check(tx)
      await insertApproval(tx, { ...wish, id, input: wish.input ?? {}, requestedBy, lifeSeconds: approvalLifeSeconds })
      tx.audit(tenantEvent(wish.tenantId, 'approval.ask', { approval: id, action: wish.action, reason: wish.reason }))
    })
  } catch (error) {
    if (!violates(error, 'approval_pending')) throw error
    throw new SaasctlError(
      'APPROVAL_STATE',
      `${nameOf(wish.action)} is asked for already and waits for a second operator.`,
      {
        hint: 'See it with "saasctl approval list".'
      }
    )
  }
  return mustFind(await approvalById(context.catalog, id), id)
}

/**
 * Approves and does it, in one transaction; an operation is followed afterwards. NOT_ALLOWED for one's own request, and
 * when whoever asked was revoked since: two operators must stand behind it now.
 */
export async function approve(
  context: Context,
  id: string,
  approvable: Approvable,
  follow: Follow & { wait: boolean }
): Promise<{ approval: NamedApproval; operation: OperationRow | null }> {
  const claim = await context.operations.claim(follow.wait)
  const started = await decide(context, id, 'approved', async (tx, approval) => {
    const carryOut = await approvable(approval.action)
    return carryOut(tx, context, approval, claim)
  })
  const operation = started && follow.wait ? await context.operations.follow(started, follow) : started
  return { approval: mustFind(await approvalById(context.catalog, id), id), operation }
}

/** Says no. NOT_ALLOWED for one's own request, which ends by itself when nobody approves it. */
export async function reject(context: Context, id: string): Promise<NamedApproval> {
  await decide(context, id, 'rejected', async () => null)
  return mustFind(await approvalById(context.catalog, id), id)
}

async function decide<T>(
  context: Context,
  id: string,
  status: 'approved' | 'rejected',
  then: (tx: Transaction, approval: NamedApproval) => Promise<T>
): Promise<T> {
  const decidedBy = provenOperator(context, 'A decision')
  return context.catalog.transaction(context.actor, async tx => {
    const approval = mustFind(isUuid(id) ? await lockApproval(tx, id) : undefined, id)
    checkPending(approval)
    checkSecond(approval, decidedBy, status)
    await decideApproval(tx, id, { status, decidedBy })
    const verb = status === 'approved' ? 'approval.approve' : 'approval.reject'
    tx.audit(
      tenantEvent(approval.tenantId, verb, { approval: id, action: approval.action, askedBy: approval.requester })
    )
    return then(tx, approval)
  })
}

function checkPending({ id, status, action, decider }: NamedApproval): void {
  if (status === 'pending') return
  const what = status === 'expired' ? 'was not decided in time' : `was ${status} by ${decider}`
  throw new SaasctlError('APPROVAL_STATE', `Request ${id} (${action}) ${what}.`, {
    hint: 'Ask again where it is still wanted.'
  })
}

function checkSecond(approval: NamedApproval, decidedBy: string, status: 'approved' | 'rejected'): void {
  if (approval.requestedBy === decidedBy) {
    throw new SaasctlError('NOT_ALLOWED', `${approval.requester} asked for this and cannot decide it too.`, {
      hint: `Another admin decides: saasctl approval approve ${approval.id}`
    })
  }
  if (status === 'rejected' || !approval.requesterRevoked) return
  throw new SaasctlError('NOT_ALLOWED', `${approval.requester}, who asked for this, was revoked since.`, {
    hint: 'Reject it; ask for it yourself where it is wanted, and let another admin approve.'
  })
}

const names: Record<string, string> = {
  'hold.set': 'A legal hold',
  'hold.release': 'The end of a legal hold',
  'tenant.erase': 'An erasure'
}

const nameOf = (action: string): string => names[action] ?? action

/** Two-person rules count proven operators only: a name that is merely asserted could be anybody’s. */
function provenOperator({ actor }: Context, what: string): string {
  if (actor.operatorId !== undefined) return actor.operatorId
  throw new SaasctlError('NOT_ALLOWED', `${what} takes two operators with tokens, and ${actor.name} has shown none.`, {
    hint: 'Make operators with "saasctl operator create", and set SAASCTL_TOKEN.'
  })
}

function mustFind<Row extends ApprovalRow>(row: Row | undefined, id: string): Row {
  if (row) return row
  throw new SaasctlError('APPROVAL_NOT_FOUND', `There is no request ${quoteInput(id)}.`, {
    hint: 'List those that wait with "saasctl approval list".'
  })
}
