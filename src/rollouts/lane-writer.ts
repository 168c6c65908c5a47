import { tenantEvent } from '../catalog/audit.js'
import type { Transaction } from '../catalog/catalog.js'
import { countFailures, type Finished, finishTargets, type HeldTarget, sayWidth } from '../catalog/rollout-lane.js'
import { lockRollout } from '../catalog/rollouts.js'
import { recordChecksums } from '../catalog/templates.js'
import { brakeReason, brakeRollout } from './brakes.js'
import type { LaneWork } from './lane-work.js'

/** At least so often what is finished is written down, and at most so much is lost to a kill and done again. */
export const WRITE_MS = 250

/** Collects what is finished and writes it in batches, with the audit events and the brakes, in one transaction. */
export class LaneWriter {
  /** The lane itself has stopped the rollout. */
  braked = false
  readonly #work: LaneWork
  readonly #progress: (sentence: string) => void
  #finished: Finished[] = []
  #writtenAt = performance.now()
  /** What was said last of how many are worked at once; as long as nothing is, it is as many as may. */
  #width: number
  /** The files' checksums are written with the first that is done; they stay the same as long as the lane works. */
  #recorded = false

  constructor(work: LaneWork, progress: (sentence: string) => void) {
    this.#work = work
    this.#progress = progress
    const { atOnce } = (work.lane.operation.result ?? {}) as { atOnce?: number }
    this.#width = atOnce ?? work.pace.most
  }

  add(finished: Finished, slug: string): void {
    this.#finished.push(finished)
    if (finished.status === 'failed') this.#progress(`${slug} failed: ${finished.error?.message ?? ''}`)
  }

  /** Taken, and not begun. */
  giveBack({ tenantId, operationId, databaseId }: HeldTarget): void {
    const nothing = { error: null, delayMs: 0, schema: null, times: null }
    this.#finished.push({ tenantId, operationId, databaseId, status: 'pending', ...nothing, unbegun: true })
  }

  /** A failure is written at once: the brakes must not act a quarter of a second late, when a hundred more have begun. */
  get urgent(): boolean {
    return this.#finished.some(({ status }) => status === 'failed')
  }

  async writeIfDue(): Promise<void> {
    if (this.urgent || performance.now() - this.#writtenAt >= WRITE_MS) await this.write()
  }

  async write(): Promise<void> {
    const finished = this.#finished
    this.#finished = []
    this.#writtenAt = performance.now()
    if (finished.length === 0) return
    const { tools, lane, schema, rollout, engine, pace } = this.#work
    const { width } = pace
    const records = !this.#recorded && rollout.direction === 'up' && finished.some(({ status }) => status === 'done')
    await tools.catalog.transaction(lane.operation.actor, async tx => {
      await finishTargets(tx, lane, finished)
      if (width !== this.#width) await sayWidth(tx, lane, width)
      if (records) {
        await recordChecksums(
          tx,
          rollout.template,
          engine.name,
          schema.upTo(rollout.target ?? schema.files.at(-1)?.name ?? null)
        )
      }
      for (const one of finished) {
        if (one.status === 'pending') continue
        const payload = { rollout: rollout.id, result: one.status, migration: one.schema?.migration ?? null }
        tx.audit(tenantEvent(one.tenantId, 'tenant.migrate', payload))
      }
      await this.#brake(tx, finished)
    })
    this.#recorded ||= records
    this.#width = width
    const count = finished.filter(({ status }) => status === 'done').length
    if (count > 0) this.#progress(`${count} more done`)
  }

  /** Lanes write one after the other here, so that none counts past another's failures. */
  async #brake(tx: Transaction, finished: Finished[]): Promise<void> {
    const { lane, rollout } = this.#work
    const now = await lockRollout(tx, rollout.id)
    let consecutive = now?.consecutiveFailures ?? 0
    if (consecutive === 0 && finished.every(({ status }) => status !== 'failed')) return
    let longest = consecutive
    for (const { status } of finished) {
      if (status === 'failed') consecutive += 1
      else if (status === 'done') consecutive = 0
      longest = Math.max(longest, consecutive)
    }
    const { failed, over } = await countFailures(tx, lane.rolloutId, consecutive)
    const reason = brakeReason(rollout.settings.brakes, { failed, over, consecutive: longest })
    if (reason && now?.status === 'running') {
      await brakeRollout(tx, lane.rolloutId, reason)
      this.braked = true
    }
  }
}
