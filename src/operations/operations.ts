import { setTimeout as sleep } from 'node:timers/promises'
import type { Catalog } from '../catalog/catalog.js'
import { claimOperation } from '../catalog/ledger.js'
import { isOver, type OperationRow, operationById, requestCancel } from '../catalog/operations.js'
import { liveWorkers } from '../catalog/workers.js'
import { asSaasctlError, fromRecord, SaasctlError } from '../errors.js'
import type { Failpoint } from './failpoints.js'
import type { Kinds, Tools } from './kind.js'
import { type ProgressLine, run } from './run.js'

export interface OperationSettings {
  /** Who this process is, in the ledger. */
  owner: string
  leaseMs: number
  failpoint: Failpoint
  kinds: Kinds
}

export interface Follow {
  onProgress?: ((line: ProgressLine) => void) | undefined
  /** Milliseconds to wait for the end; STILL_RUNNING after that, and the operation goes on. */
  timeoutMs?: number | undefined
  /** Asks for cancellation when it aborts. */
  signal?: AbortSignal | undefined
}

/** The same with its end fixed on the clock of `performance`. */
interface Until extends Follow {
  deadline?: number
}

/** After this many tries somebody who waits is told; about 6 s when every try fails at once. */
const patience = 6

/** How long after its last heartbeat a worker still counts as alive. */
export const workerLifeSeconds = 20

/** Works operations in this process, or waits while a worker does. */
export class Operations {
  readonly #tools: Tools
  readonly settings: OperationSettings

  constructor(tools: Tools, settings: OperationSettings) {
    this.#tools = tools
    this.settings = settings
  }

  get #catalog(): Catalog {
    return this.#tools.catalog
  }

  /** How a new operation is claimed: by this process at once, or by nobody yet because a worker lives. */
  async claim(wait: boolean): Promise<{ owner: string; leaseMs: number } | null> {
    if (!wait || (await this.haveWorker())) return null
    return { owner: this.settings.owner, leaseMs: this.settings.leaseMs }
  }

  async haveWorker(): Promise<boolean> {
    return (await liveWorkers(this.#catalog, workerLifeSeconds)).length > 0
  }

  /** Works one claimed operation until its end or its next try; gives it when it has succeeded. */
  async work(operation: OperationRow, follow: Until = {}): Promise<OperationRow | undefined> {
    const kind = await this.settings.kinds.load(operation.kind)
    const { leaseMs, failpoint } = this.settings
    const { onProgress, deadline } = follow
    return await run(operation, kind, { tools: this.#tools, leaseMs, failpoint, onProgress, deadline })
  }

  /** Claims the operation if it is due and nobody's, and works it: what a worker does when it is woken. */
  async wake(id: string, options: Follow & { early?: boolean } = {}): Promise<boolean> {
    const claimed = await claimOperation(this.#catalog, id, { ...this.settings, early: options.early ?? false })
    if (!claimed) return false
    await this.#workHere(claimed, options)
    return true
  }

  /**
   * Follows an operation to its end. Works it here when it is ours or nobody's; waits while another process owns it.
   * Throws what the operation failed with; STILL_RUNNING at the timeout.
   */
  async follow(started: OperationRow, asked: Follow = {}): Promise<OperationRow> {
    const deadline = asked.timeoutMs === undefined ? Number.POSITIVE_INFINITY : performance.now() + asked.timeoutMs
    const follow: Until = { ...asked, deadline }
    const cancel = () => requestCancel(this.#catalog, started.id).catch(() => {})
    follow.signal?.addEventListener('abort', cancel, { once: true })
    if (follow.signal?.aborted) await cancel()
    try {
      if (started.owner === this.settings.owner && started.status === 'running') {
        const over = await this.#workHere(started, follow)
        if (over) return over
      }
      for (let pause = 20; ; pause = Math.min(pause * 1.5, 500)) {
        const now = await this.#look(started.id)
        if (isOver(now.status)) return ended(now)
        const worker = await this.haveWorker()
        if (performance.now() > deadline || (!worker && now.attempt >= patience)) throw stillRunning(now)
        if (worker) await sleep(pause)
        else await this.#tryHere(now, follow, pause)
      }
    } catch (thrown) {
      throw catalogLost(started, asSaasctlError(thrown))
    } finally {
      follow.signal?.removeEventListener('abort', cancel)
    }
  }

  /** What must come first is worked here too: with no worker nobody else would. */
  async #first(id: string, follow: Follow): Promise<void> {
    const first = await operationById(this.#catalog, id)
    if (first && !isOver(first.status)) await this.follow(first, follow).catch(() => {})
  }

  /** Whether it is due and nobody's is for the catalog to say, by its own clock. */
  async #tryHere(operation: OperationRow, follow: Until, pause: number): Promise<void> {
    if (operation.after) await this.#first(operation.after, follow)
    const claimed = await claimOperation(this.#catalog, operation.id, this.settings)
    if (claimed) await this.#workHere(claimed, follow)
    else await sleep(pause)
  }

  /** A lost lease is no failure: whoever has the operation now is followed instead. */
  async #workHere(operation: OperationRow, follow: Until): Promise<OperationRow | undefined> {
    try {
      return await this.work(operation, follow)
    } catch (thrown) {
      const error = asSaasctlError(thrown)
      if (error.code !== 'FENCED') throw error
      return undefined
    }
  }

  async #look(id: string): Promise<OperationRow> {
    const operation = await operationById(this.#catalog, id)
    if (!operation) throw operationNotFound(id)
    return operation
  }
}

export function operationNotFound(id: string): SaasctlError {
  return new SaasctlError('OPERATION_NOT_FOUND', `There is no operation ${id}.`, {
    hint: 'List them with "saasctl operation list".'
  })
}

function ended(operation: OperationRow): OperationRow {
  if (operation.status === 'succeeded') return operation
  const error = operation.error
    ? fromRecord(operation.error)
    : new SaasctlError('FAILED', `Operation ${operation.id} failed.`)
  error.operationId ??= operation.id
  throw error
}

/** A catalog that went away takes nothing with it: the operation stands where it stood, and says so. */
function catalogLost(operation: OperationRow, error: SaasctlError): SaasctlError {
  if (error.code !== 'CATALOG_UNREACHABLE') return error
  return new SaasctlError(error.code, `${error.message} ${operation.kind} stands where it stood.`, {
    hint: `When the catalog is back, a worker goes on with it; or run "saasctl operation resume ${operation.id}".`,
    operationId: operation.id,
    retryable: true,
    cause: error
  })
}

function stillRunning(operation: OperationRow): SaasctlError {
  const reason = operation.error ? ` Its last try ended with: ${operation.error.message}` : ''
  return new SaasctlError('STILL_RUNNING', `${operation.kind} is still ${operation.status}.${reason}`, {
    operationId: operation.id,
    hint: `A worker goes on with it; without one, run "saasctl operation resume ${operation.id}".`
  })
}
