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
  #lost: SaasctlError | undefined
  #renewedAt = performance.now()
  cancelRequested = false

  constructor(catalog: Catalog, operation: OperationRow, leaseMs: number) {
    this.#timer = setInterval(async () => {
      try {
        const { cancelRequested } = await renewLease(catalog, operation, leaseMs)
        this.#renewedAt = performance.now()
        this.cancelRequested ||= cancelRequested
      } catch (error) {
        if (error instanceof SaasctlError && error.code === 'FENCED') this.#lost = error
        else if (performance.now() - this.#renewedAt > leaseMs) {
          this.#lost = new SaasctlError(
            'FENCED',
            `The lease on operation ${operation.id} ran out while the catalog was away.`,
            {
              operationId: operation.id,
              hint: `A worker goes on with it; or run "saasctl operation resume ${operation.id}".`
            }
          )
        }
      }
    }, leaseMs / 3)
    this.#timer.unref()
  }

  check(): void {
    if (this.#lost) throw this.#lost
  }

  end(): void {
    clearInterval(this.#timer)
  }
}
