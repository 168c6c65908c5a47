import type { Catalog } from '../catalog/catalog.js'
import { renewLease } from '../catalog/ledger.js'
import type { OperationRow } from '../catalog/operations.js'
import { SaasctlError } from '../errors.js'

/**
 * Keeps an operation ours while it is worked, renewing at a third of the lease. When the catalog says that it is
 * somebody else's, or could not be asked for as long as the lease lasts, `check` throws FENCED.
 */
export class Lease {
  readonly #timer: NodeJS.Timeout
  readonly #lost = new AbortController()
  readonly #stopped = new AbortController()
  #renewedAt = performance.now()
  cancelRequested = false

  constructor(catalog: Catalog, operation: OperationRow, leaseMs: number) {
    this.#timer = setInterval(async () => {
      try {
        const { cancelRequested } = await renewLease(catalog, operation, leaseMs)
        this.#renewedAt = performance.now()
        this.cancelRequested ||= cancelRequested
        if (cancelRequested) this.#stopped.abort(cancelled(operation))
      } catch (error) {
        if (error instanceof SaasctlError && error.code === 'FENCED') this.#lose(error)
        else if (performance.now() - this.#renewedAt > leaseMs) {
          const lost = new SaasctlError(
            'FENCED',
            `The lease on operation ${operation.id} ran out while the catalog was away.`,
            {
              operationId: operation.id,
              hint: `A worker goes on with it; or run "saasctl operation resume ${operation.id}".`
            }
          )
          this.#lose(lost)
        }
      }
    }, leaseMs / 3)
    this.#timer.unref()
  }

  check(): void {
    this.#lost.signal.throwIfAborted()
  }

  /** Aborts when the operation is no longer ours; with `heeding`, when it is to be cancelled too. The reason is an error of ours. */
  signal({ heeding }: { heeding: boolean }): AbortSignal {
    return heeding ? this.#stopped.signal : this.#lost.signal
  }

  #lose(error: SaasctlError): void {
    this.#lost.abort(error)
    this.#stopped.abort(error)
  }

  end(): void {
    clearInterval(this.#timer)
  }
}

export function cancelled(operation: OperationRow): SaasctlError {
  return new SaasctlError('CANCELLED', `${operation.kind} was cancelled; what it had made was taken back.`, {
    operationId: operation.id
  })
}
