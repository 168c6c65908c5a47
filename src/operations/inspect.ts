import {
  isOver,
  type OperationRow,
  operationById,
  requestCancel,
  type StepRow,
  stepsOf
} from '../catalog/operations.js'
import { SaasctlError } from '../errors.js'
import { isUuid } from '../names.js'
import type { Context } from './kind.js'
import { type Follow, operationNotFound } from './operations.js'

export interface OperationDetails extends OperationRow {
  steps: StepRow[]
}

/** One operation with its steps. */
export async function showOperation(context: Context, id: string): Promise<OperationDetails> {
  const operation = await mustFind(context, id)
  return { ...operation, steps: await stepsOf(context.catalog, id) }
}

/** Goes on with an operation now: the next try is not waited for, a lost owner's lease is. A finished one is given back as it is. */
export async function resumeOperation(context: Context, id: string, follow: Follow): Promise<OperationRow> {
  const operation = await mustFind(context, id)
  if (isOver(operation.status)) return operation
  await context.operations.wake(id, { early: true, ...follow })
  return context.operations.follow(await mustFind(context, id), follow)
}

/** Asks the operation to stop at its next step and to take back what it made. OPERATION_STATE when it is over. */
export async function cancelOperation(context: Context, id: string): Promise<OperationRow> {
  const operation = await mustFind(context, id)
  const asked =
    !isOver(operation.status) &&
    (await context.catalog.transaction(context.actor, async tx => {
      const chain = operation.tenantId ? `tenant:${operation.tenantId}` : 'operation'
      tx.audit({ chain, action: 'operation.cancel', subject: `operation:${id}`, payload: { kind: operation.kind } })
      return requestCancel(tx, id)
    }))
  if (!asked) {
    throw new SaasctlError('OPERATION_STATE', `Operation ${id} is ${operation.status} and cannot be cancelled.`, {
      operationId: id
    })
  }
  return mustFind(context, id)
}

async function mustFind(context: Context, id: string): Promise<OperationRow> {
  const operation = isUuid(id) ? await operationById(context.catalog, id) : undefined
  if (!operation) throw operationNotFound(id)
  return operation
}
