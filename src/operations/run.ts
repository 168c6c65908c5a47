import type { Json } from '../canonical.js'
import { advance, confirmEpoch, finish, markUndone, release, startUndoing } from '../catalog/ledger.js'
import { isOver, type OperationRow, operationById, type StepRow, stepsOf } from '../catalog/operations.js'
import { asSaasctlError, type ErrorRecord, fromRecord, SaasctlError } from '../errors.js'
import type { Failpoint } from './failpoints.js'
import type { Kind, Step, Tools, Work } from './kind.js'
import { cancelled, Lease } from './lease.js'
import { nextDelay, triesLeft } from './retry.js'

export interface Running {
  tools: Tools
  leaseMs: number
  failpoint: Failpoint
  onProgress?: ((line: ProgressLine) => void) | undefined
  /** When whoever waits goes away, by this process's own clock: then the next step is left to others. */
  deadline?: number | undefined
}

export interface ProgressLine {
  operation: string
  kind: string
  step: string
  moment: 'begun' | 'done' | 'undone' | 'note'
  note?: string
}

/**
 * The one runner. Works a claimed operation from where it stands to its end, or until its next try.
 * "Done n" and "begun n+1" are one commit; what fails for good is taken back newest first, up to the pivot.
 * Throws only when the operation is no longer ours (FENCED) or the catalog is away: then somebody else goes on.
 * Gives the operation as it is when it has succeeded.
 */
export async function run(operation: OperationRow, kind: Kind, running: Running): Promise<OperationRow | undefined> {
  const lease = new Lease(running.tools.catalog, operation, running.leaseMs)
  const attempt = new Attempt(operation, kind, running, lease)
  try {
    await attempt.go()
  } catch (thrown) {
    const error = asSaasctlError(thrown)
    if (error.code === 'FENCED' || error.code.startsWith('CATALOG_')) throw error
    await attempt.failed(error)
  } finally {
    lease.end()
    await attempt.leave()
  }
  return attempt.over
}

class Attempt {
  readonly #operation: OperationRow
  readonly #kind: Kind
  readonly #running: Running
  readonly #lease: Lease
  #work: Work | undefined
  #entered = false
  #rows: StepRow[] = []
  /** As it has succeeded. */
  over: OperationRow | undefined

  constructor(operation: OperationRow, kind: Kind, running: Running, lease: Lease) {
    this.#operation = operation
    this.#kind = kind
    this.#running = running
    this.#lease = lease
  }

  get #catalog() {
    return this.#running.tools.catalog
  }

  async go(): Promise<void> {
    this.#rows = await stepsOf(this.#catalog, this.#operation.id)
    this.#checkPlan()
    await this.#checkDependency()
    if (this.#operation.status === 'undoing') return this.#undo()
    this.#heed(this.#operation)
    await this.#forward()
  }

  /** A program with other steps than the one that promised the operation refuses it, instead of guessing. */
  #checkPlan(): void {
    const promised = this.#rows.map(row => row.name).join(', ')
    const known = this.#kind.steps.map(step => step.name).join(', ')
    if (promised === known && this.#operation.inputVersion === this.#kind.inputVersion) return
    throw new SaasctlError('FENCED', `Operation ${this.#operation.id} was begun by another version of saasctl.`, {
      operationId: this.#operation.id,
      hint: 'Let a worker of that version finish it.'
    })
  }

  async #checkDependency(): Promise<void> {
    if (!this.#operation.after) return
    const first = await operationById(this.#catalog, this.#operation.after)
    if (!first || first.status === 'succeeded' || !isOver(first.status)) return
    const reason = first.error ? fromRecord(first.error) : undefined
    throw new SaasctlError(
      reason?.code ?? 'FAILED',
      reason?.message ?? `Operation ${first.id}, which had to come first, did not succeed.`,
      {
        ...(reason?.hint !== undefined && { hint: reason.hint }),
        operationId: first.id
      }
    )
  }

  async #forward(): Promise<void> {
    const { steps } = this.#kind
    const work = await this.#open()
    let unsaid: number[] = []
    let begun: StepRow | undefined
    for (let index = this.#rows.findIndex(row => row.status !== 'done'); index < steps.length; index += 1) {
      const step = steps[index] as Step
      const row = this.#rows[index] as StepRow
      const next = steps[index + 1]
      if (step.act) {
        this.#checkDeadline()
        await this.#enter()
        this.#lease.check()
        if (begun !== row && !this.#begunWithPromise(row)) {
          this.#heed(await advance(this.#catalog, this.#operation, { done: unsaid, begun: row.position }))
          unsaid = []
          row.status = 'begun'
        }
        this.#at(step, 'begun')
        const note = (sentence: string) =>
          this.#running.onProgress?.({ ...this.#where(step), moment: 'note', note: sentence })
        await step.act(work, note, this.#lease.signal({ heeding: !this.#pastPivot() }))
        this.#at(step, 'acted')
        this.#lease.check()
      }
      unsaid.push(row.position)
      if (step.commit || !next) {
        // Nothing is begun before the fence is entered.
        begun = next?.act && this.#entered ? this.#rows[index + 1] : undefined
        await this.#commit(step, unsaid, begun?.position ?? null, !next, work)
        if (begun) begun.status = 'begun'
        unsaid = []
      }
      row.status = 'done'
      this.#at(step, 'done')
    }
  }

  #begunWithPromise({ status }: StepRow): boolean {
    return this.#kind.fenceless === true && this.#operation.epoch === 1 && status === 'begun'
  }

  /**
   * Writes what the step taught us together with its "done" and the next one's "begun"; a step with nothing to write is
   * recorded with the next "begun" alone. A step that only writes the catalog needs no record of having begun: its write is
   * its record. The ledger's row comes last, as everywhere: whoever pre-empts us holds the tenant's row and then asks for it.
   */
  async #commit(step: Step, done: number[], begun: number | null, last: boolean, work: Work): Promise<void> {
    this.over = await this.#catalog.transaction(this.#operation.actor, async tx => {
      await step.commit?.(tx, work)
      if (!last) {
        this.#heed(await advance(tx, this.#operation, { done, begun }))
        return undefined
      }
      const result = this.#kind.result?.(work) ?? null
      const over = await finish(tx, this.#operation, { status: 'succeeded', error: null, result, done })
      this.#heed(over)
      return over
    })
  }

  #checkDeadline(): void {
    const { deadline } = this.#running
    if (deadline === undefined || performance.now() < deadline) return
    throw new SaasctlError('STILL_RUNNING', 'Whoever waited for it went away.', { operationId: this.#operation.id })
  }

  #heed({ cancelRequested }: { cancelRequested: boolean }): void {
    if ((cancelRequested || this.#lease.cancelRequested) && !this.#pastPivot()) throw cancelled(this.#operation)
  }

  #pastPivot(): boolean {
    const { pivot, steps } = this.#kind
    if (pivot === 'start') return true
    const index = steps.findIndex(step => step.name === pivot)
    return index >= 0 && this.#rows[index]?.status === 'done'
  }

  /** Later, back, or the end: what an error means to the operation. */
  async failed(error: SaasctlError): Promise<void> {
    this.#lease.check()
    const undoing = this.#operation.status === 'undoing'
    const first = undoing && this.#operation.error ? this.#operation.error : error.toJSON()
    if (undoing) {
      const record: ErrorRecord = { ...first, also: [error.toJSON()] }
      return release(this.#catalog, this.#operation, nextDelay(this.#operation.attempt), record)
    }
    if (error.code === 'STILL_RUNNING') return release(this.#catalog, this.#operation, 0, first)
    const begun = this.#rows.some(row => row.status !== 'pending')
    if (this.#pastPivot() || (error.retryable && triesLeft(this.#operation.attempt, begun))) {
      return release(this.#catalog, this.#operation, nextDelay(this.#operation.attempt), first)
    }
    await startUndoing(this.#catalog, this.#operation, first)
    this.#operation.status = 'undoing'
    this.#operation.error = first
    this.#operation.attempt = 0
    try {
      await this.#undo()
    } catch (thrown) {
      const failure = asSaasctlError(thrown)
      if (failure.code === 'FENCED' || failure.code.startsWith('CATALOG_')) throw failure
      await this.failed(failure)
    }
  }

  /** Newest first. A step that was only begun is taken back too: nobody knows how far it came. */
  async #undo(): Promise<void> {
    const work = await this.#open()
    for (let position = this.#rows.length - 1; position >= 0; position -= 1) {
      const row = this.#rows[position] as StepRow
      const step = this.#kind.steps[position] as Step
      if (row.status !== 'begun' && row.status !== 'done') continue
      if (step.undo) {
        await this.#enter()
        this.#lease.check()
        this.#at(step, 'undoing')
        await step.undo(work)
      }
      await markUndone(this.#catalog, this.#operation, row.position)
      row.status = 'undone'
      this.#at(step, 'undone')
    }
    const error = this.#operation.error
    await this.#catalog.transaction(this.#operation.actor, async tx => {
      await this.#kind.failed?.(tx, this.#operation as OperationRow<Json>)
      await finish(tx, this.#operation, {
        status: error?.code === 'CANCELLED' ? 'cancelled' : 'failed',
        error,
        result: null,
        done: []
      })
    })
  }

  async #open(): Promise<Work> {
    this.#work ??= await this.#kind.open(this.#running.tools, this.#operation as OperationRow<Json>)
    return this.#work
  }

  async #enter(): Promise<void> {
    if (this.#entered) return
    const work = await this.#open()
    await work.enter?.({
      operation: this.#operation.id,
      epoch: this.#operation.epoch,
      lock: this.#operation.subject,
      confirm: () => confirmEpoch(this.#catalog, this.#operation)
    })
    this.#entered = true
  }

  async leave(): Promise<void> {
    await this.#work?.leave?.()
  }

  #where(step: Step) {
    return { operation: this.#operation.id, kind: this.#kind.name, step: step.name }
  }

  #at(step: Step, moment: 'begun' | 'acted' | 'done' | 'undoing' | 'undone'): void {
    if (moment === 'begun' || moment === 'done' || moment === 'undone')
      this.#running.onProgress?.({ ...this.#where(step), moment })
    this.#running.failpoint(this.#kind.name, step.name, moment)
  }
}
