import { checksum, type Json } from '../canonical.js'
import type { Actor } from '../catalog/audit.js'
import type { Transaction } from '../catalog/catalog.js'
import { violates } from '../catalog/errors.js'
import {
  exclusiveOperation,
  insertOperation,
  operationByKey,
  type OperationRow,
  sharedOperation
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
  idempotencyKey?: string
  /** Runs only after this operation has succeeded. */
  after?: string
  actor: Actor
  claim: { owner: string; leaseMs: number } | null
}

/**
 * Promises an operation, in the transaction that changes the catalog for it. The tenant's row must be locked by the caller
 * when there is one. TENANT_BUSY when another operation holds the tenant and this kind does not pre-empt.
 */
export async function startOperation<Input extends Json>(tx: Transaction, wish: OperationWish<Input>): Promise<OperationRow> {
  if (wish.tenantId) await checkFree(tx, wish.kind, wish.tenantId)
  return insertOperation(tx, {
    id: uuidv7(),
    kind: wish.kind.name,
    subject: wish.subject,
    tenantId: wish.tenantId ?? null,
    exclusion: wish.kind.exclusion,
    input: wish.input,
    inputVersion: wish.kind.inputVersion,
    idempotencyKey: wish.idempotencyKey ?? null,
    requestChecksum: checksum(wish.input),
    actor: wish.actor,
    after: wish.after ?? null,
    steps: wish.kind.steps.map(step => step.name),
    claim: wish.claim
  })
}

async function checkFree(tx: Transaction, kind: KindHead, tenantId: string): Promise<void> {
  if (kind.exclusion === 'preempts') return
  const holder =
    (await exclusiveOperation(tx, tenantId)) ?? (kind.exclusion === 'exclusive' ? await sharedOperation(tx, tenantId) : undefined)
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
export async function earlierOperation(tx: Transaction, key: string, request: Json): Promise<OperationRow | undefined> {
  const earlier = await operationByKey(tx, key)
  if (!earlier) return undefined
  if (earlier.requestChecksum !== checksum(request)) {
    throw new SaasctlError('IDEMPOTENCY_MISMATCH', 'This idempotency key was used for a different request.', {
      operationId: earlier.id,
      hint: 'Use a new key for a new request.'
    })
  }
  return earlier
}

/** Whether another request with the same key was faster. */
export function isDuplicateKey(error: unknown): boolean {
  return violates(error, 'operation_idempotency_key_key')
}
