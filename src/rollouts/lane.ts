import { setTimeout as sleep } from 'node:timers/promises'
import { tenantEvent } from '../catalog/audit.js'
import type { Transaction } from '../catalog/catalog.js'
import {
  countFailures,
  type Finished,
  finishTargets,
  freeLeftTargets,
  nextDue,
  takeTargets
} from '../catalog/rollout-lane.js'
import { rolloutById, setRolloutStatus } from '../catalog/rollouts.js'
import { recordChecksums } from '../catalog/templates.js'
import { uuidv7 } from '../names.js'
import type { Kind } from '../operations/kind.js'
import { brakeReason } from './brakes.js'
import { type LaneInput, LaneWork } from './lane-work.js'
import { type Fingerprints, workTarget } from './target.js'
import { waveWorked } from './turn.js'

/** At least so often what is finished is written down, and at most so much is lost to a kill and done again. */
const WRITE_MS = 250
/** A lane that waits for targets to come due looks at least so often whether the rollout was stopped. */
const LOOK_MS = 1000

/**
 * One wave of a rollout on one server. Targets are rows: whoever takes the lane over goes on where it stood. It only goes
 * forward: what is migrated stays, and a rollout that takes it back is another rollout.
 */
export const rolloutLane: Kind<LaneInput, LaneWork> = {
  name: 'rollout.lane',
  inputVersion: 1,
  exclusion: 'shared',
  pivot: 'start',
  open: (tools, operation) => LaneWork.open(tools, operation),
  steps: [
    { name: 'migrate', act: workLane },
    {
      name: 'hand over',
      commit: (tx, work) => waveWorked(tx, work.lane.operation.actor, work.lane.rolloutId, work.lane.wave)
    }
  ],
  result: ({ lane }) => ({ rolloutId: lane.rolloutId, wave: lane.wave })
}

async function workLane(work: LaneWork, progress: (sentence: string) => void): Promise<void> {
  const { default: PQueue } = await import('p-queue')
  const { lane, tools, concurrency } = work
  await freeLeftTargets(tools.catalog, lane)
  const queue = new PQueue({ concurrency })
  const fingerprints: Fingerprints = new Map()
  const writer = new Writer(work, progress)
  const failure: { error?: unknown } = {}
  try {
    for (;;) {
      if (failure.error) throw failure.error
      const wanted = concurrency * 2 - queue.size
      const targets = await takeTargets(
        tools.catalog,
        lane,
        Array.from({ length: wanted }, () => uuidv7())
      )
      for (const target of targets) {
        void queue
          .add(async () => writer.add(await workTarget(work, target, fingerprints), target.slug))
          .catch((error: unknown) => {
            failure.error ??= error
          })
      }
      if (targets.length > 0) await queue.onSizeLessThan(concurrency)
      else if (queue.pending + queue.size > 0) await Promise.race([queue.onIdle(), sleep(WRITE_MS)])
      else {
        await writer.write()
        const due = await nextDue(tools.catalog, lane)
        if (due === undefined) return
        await sleep(Math.min(due, LOOK_MS))
      }
      await writer.writeIfDue()
    }
  } finally {
    queue.clear()
    await queue.onIdle()
    // What is done is written even when the lane must stop; the fence says whether it still may.
    if (!failure.error) await writer.write()
  }
}

/** Collects what is finished and writes it in batches, with the audit events and the brakes, in one transaction. */
class Writer {
  readonly #work: LaneWork
  readonly #progress: (sentence: string) => void
  #finished: Finished[] = []
  #writtenAt = performance.now()

  constructor(work: LaneWork, progress: (sentence: string) => void) {
    this.#work = work
    this.#progress = progress
  }

  add(finished: Finished, slug: string): void {
    this.#finished.push(finished)
    if (finished.status === 'failed') this.#progress(`${slug} failed: ${finished.error?.message ?? ''}`)
  }

  /** A failure is written at once: the brakes must not act a quarter of a second late, when a hundred more have begun. */
  async writeIfDue(): Promise<void> {
    const failed = this.#finished.some(({ status }) => status === 'failed')
    if (failed || performance.now() - this.#writtenAt >= WRITE_MS) await this.write()
  }

  async write(): Promise<void> {
    const finished = this.#finished
    this.#finished = []
    this.#writtenAt = performance.now()
    if (finished.length === 0) return
    const { tools, lane, schema, rollout, engine } = this.#work
    await tools.catalog.transaction(lane.operation.actor, async tx => {
      await finishTargets(tx, lane, finished)
      if (rollout.direction === 'up' && finished.some(({ status }) => status === 'done')) {
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
    const count = finished.filter(({ status }) => status === 'done').length
    if (count > 0) this.#progress(`${count} more done`)
  }

  async #brake(tx: Transaction, finished: Finished[]): Promise<void> {
    const { lane, rollout } = this.#work
    const now = await rolloutById(tx, rollout.id)
    let consecutive = now?.consecutiveFailures ?? 0
    let longest = consecutive
    for (const { status } of finished) {
      if (status === 'failed') consecutive += 1
      else if (status === 'done') consecutive = 0
      longest = Math.max(longest, consecutive)
    }
    const { failed, over } = await countFailures(tx, lane.rolloutId, consecutive)
    const reason = brakeReason(rollout.settings.brakes, { failed, over, consecutive: longest })
    if (reason && now?.status === 'running') {
      await setRolloutStatus(tx, lane.rolloutId, 'braked', reason)
      tx.audit({ chain: 'rollout', action: 'rollout.brake', subject: `rollout:${lane.rolloutId}`, payload: { reason } })
    }
  }
}
