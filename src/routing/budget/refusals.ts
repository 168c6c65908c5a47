import { SaasctlError } from '../../errors.js'

const refusal = (message: string, hint: string, retryAfterSeconds: number, cause?: unknown) =>
  new SaasctlError('ROUTER_BUDGET', message, { hint, data: { retryAfterSeconds }, retryable: true, cause })

/** Waited as long as anybody may. `cause` is the server's own refusal, when it had no connection left itself. */
export const tookTooLong = (tenant: string, waitedMs: number, cause: unknown) =>
  refusal(
    `No connection to the database of tenant "${tenant}" became free within ${Math.round(waitedMs)} ms.`,
    'Try again; if it stays, look for slow statements of this tenant, or give its plan or the router more connections.',
    Math.max(1, Math.round(waitedMs / 1_000)),
    cause
  )

export const queueFull = (tenant: string, waiting: number) =>
  refusal(
    `${waiting} requests wait for a connection to the database of tenant "${tenant}" already.`,
    'Try again later; if it stays, look for slow statements of this tenant.',
    1
  )

export const heldAndFull = (tenant: string) =>
  refusal(
    `A request of tenant "${tenant}" asked for a second connection inside a transaction while none was free.`,
    'Use the transaction’s own manager for everything inside it, or give the plan more connections.',
    1
  )

export const budgetClosed = (server: string) =>
  refusal(`The connections to server "${server}" are being closed.`, 'The process is ending; ask another one.', 1)

/** A request that outlived its tenant's way to the database: moved, suspended, or its login retired. */
export const wayClosed = (tenant: string) =>
  refusal(
    `The connections to the database of tenant "${tenant}" were closed, because its place, login or state changed.`,
    'Try again: a new request takes the new way.',
    1
  )

/** `where` is the route of the request that it was lent to, when it was one. */
export const leaseEnded = (tenant: string, where?: string) =>
  new SaasctlError(
    'LEASE_ENDED',
    `The database of tenant "${tenant}" was used after ${where ?? 'the callback'} that it was lent to had ended.`,
    {
      hint: 'Await everything before the handler returns; for work that goes on, take the tenant’s database for itself.',
      ...(where !== undefined && { data: { where } })
    }
  )
