import { checksum, type Json } from '../canonical.js'
import type { Actor } from '../catalog/audit.js'
import type { Queryable, Transaction } from '../catalog/catalog.js'
import {
  insertFinishedOperation,
  insertOperation,
  type OperationRow,
  openOperationOf,
  operationByKey
} from '../catalog/operations.js'
import { SaasctlError } from '../errors.js'
import { uuidv7 } from '../names.js'
import type { KindHead } from './kind.js'

export interface OperationWish<Input> {
  kind: KindHead
  input: Input
  /** `tenant:<id>`, `database:<id>`, `template:<id>` … */
  subject: string
  tenantId?: string
  /** The tenant was written in this same transaction: nothing else can be at work on it. */
  newTenant?: true
  /** The same key with the same request finds the same operation. */
  idempotent?: { key: string; request: Json } | undefined
  /** Runs only after this operation has succeeded. */
  after?: string
  /** Is due so many milliseconds from now. */
  delayMs?: number
  actor: Actor
  claim: { owner: string; leaseMs: number } | null
}

/**
 * Promises an operation, in the transaction that changes the catalog for it. The tenant's row must be locked by the caller
 * when there is one. TENANT_BUSY when another operation holds the tenant and this kind does not pre-empt.
 */
export async function startOperation<Input extends Json>(
  tx: Transaction,
  wish: OperationWish<Input>
): Promise<OperationRow> {
  if (wish.tenantId && !wish.newTenant) await checkFree(tx, wish.kind, wish.tenantId)
  // One that must wait for another is nobody's until then: a lease would run out meanwhile.
  const claim = wish.after === undefined ? wish.claim : null
  return insertOperation(tx, {
    id: uuidv7(),
    kind: wish.kind.name,
    subject: wish.subject,
    tenantId: wish.tenantId ?? null,
    exclusion: wish.kind.exclusion,
    input: wish.input,
    inputVersion: wish.kind.inputVersion,
    idempotencyKey: wish.idempotent?.key ?? null,
    requestChecksum: wish.idempotent ? checksum(wish.idempotent.request) : null,
    actor: wish.actor,
    after: wish.after ?? null,
    steps: wish.kind.steps.map(step => step.name),
    delayMs: wish.delayMs ?? 0,
    claim,
    begun: claim !== null && wish.kind.fenceless === true
  })
}

/** Records an operation that the transaction has already done in full. */
export function recordOperation(
  tx: Transaction,
  done: {
    kind: KindHead
    input: Json
    tenantId: string
    actor: Actor
    idempotent: { key: string; request: Json } | undefined
  }
): Promise<OperationRow> {
  return insertFinishedOperation(tx, {
    ...done,
    id: uuidv7(),
    idempotencyKey: done.idempotent?.key ?? null,
    requestChecksum: done.idempotent ? checksum(done.idempotent.request) : null
  })
}

async function checkFree(tx: Transaction, kind: KindHead, tenantId: string): Promise<void> {
  if (kind.exclusion === 'preempts') return
  const holder = await openOperationOf(tx, tenantId, kind.exclusion === 'exclusive')
  if (!holder) return
  throw new SaasctlError('TENANT_BUSY', `${holder.kind} is at work on this tenant.`, {
    operationId: holder.id,
    hint: `Wait for it with "saasctl operation watch ${holder.id}", or cancel it.`
  })
}

/**
 * The operation that an earlier request with this key has started, or undefined. IDEMPOTENCY_MISMATCH when that request
 * asked for something else.
 */
export async function earlierOperation(
  q: Queryable,
  { key, request }: { key: string; request: Json }
): Promise<OperationRow | undefined> {
  const earlier = await operationByKey(q, key)
  if (!earlier) return undefined
  if (earlier.requestChecksum !== checksum(request)) {
    throw new SaasctlError('IDEMPOTENCY_MISMATCH', 'This idempotency key was used for a different request.', {
      operationId: earlier.id,
      hint: 'Use a new key for a new request.'
    })
  }
  return earlier
}
