import { setTimeout as sleep } from 'node:timers/promises'
import type PQueue from 'p-queue'
import { freeLeftTargets, type HeldTarget, mayGoOn, nextDue, takeTargets } from '../catalog/rollout-lane.js'
import { asSaasctlError, SaasctlError } from '../errors.js'
import { uuidv7 } from '../names.js'
import type { Kind } from '../operations/kind.js'
import { brakeRollout } from './brakes.js'
import { type LaneInput, LaneWork } from './lane-work.js'
import { LaneWriter, WRITE_MS } from './lane-writer.js'
import { type Fingerprints, workTarget } from './target.js'
import { waveWorked } from './turn.js'

/** A lane that waits for targets to come due looks at least so often whether the rollout was stopped. */
const LOOK_MS = 1000
const LONGEST_QUEUE = 100

/**
 * One wave of a rollout on one server. Targets are rows: whoever takes the lane over goes on where it stood. It only goes
 * forward: what is migrated stays, and a rollout that takes it back is another rollout. A server that goes away is one event:
 * the lane stops, and is tried again as a whole.
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
  const { default: Queue } = await import('p-queue')
  const { tools, lane, change, pace } = work
  await freeLeftTargets(tools.catalog, lane)
  if (change) return tools.catalog.transaction(lane.operation.actor, tx => brakeRollout(tx, lane.rolloutId, change))
  await new Crew(work, new LaneWriter(work, progress), new Queue({ concurrency: pace.width })).work()
}

/** Works the targets of a lane, as many at a time as the lane may. */
class Crew {
  readonly #work: LaneWork
  readonly #writer: LaneWriter
  readonly #queue: PQueue
  readonly #waiting = new Map<string, HeldTarget>()
  readonly #fingerprints: Fingerprints = new Map()
  /** Taken and not over yet, waiting ones included; the queue counts one as at work a moment longer. */
  #open = 0
  /** What stops the lane: it was taken over, or its server is gone. */
  #failure: SaasctlError | undefined
  #ring: () => void = () => {}
  /** What a target takes, in milliseconds; the last ones count most. */
  #usualMs = WRITE_MS

  constructor(work: LaneWork, writer: LaneWriter, queue: PQueue) {
    this.#work = work
    this.#writer = writer
    this.#queue = queue
  }

  async work(): Promise<void> {
    try {
      while (!this.#failure && (await this.#goOn())) await this.#writer.writeIfDue()
    } catch (thrown) {
      this.#failure ??= asSaasctlError(thrown)
    }
    this.#queue.clear()
    await this.#queue.onIdle()
    if (!this.#failure || this.#failure.code === 'SERVER_UNREACHABLE') {
      for (const target of this.#waiting.values()) this.#writer.giveBack(target)
      await this.#writer.write()
    }
    if (this.#failure) throw this.#failure
  }

  /** Takes what is due, or waits for something to happen; false when nothing is left or the rollout was stopped. */
  async #goOn(): Promise<boolean> {
    const { tools, lane, pace } = this.#work
    if (this.#writer.braked) return false
    if (!this.#writer.urgent) this.#queue.start()
    pace.lookIfDue()
    this.#queue.concurrency = pace.width
    const wanted = Math.max(1, this.#ahead + pace.width - this.#queue.pending - this.#queue.size)
    const ids = Array.from({ length: wanted }, () => uuidv7())
    const targets = await takeTargets(tools.catalog, lane, ids)
    await this.#work.readLogins(targets)
    for (const target of targets) this.#add(target)
    if (this.#queue.size + this.#queue.pending > 0) {
      const short = targets.length < wanted
      if (short && !(await mayGoOn(tools.catalog, lane))) return false
      await this.#nextFinished(short ? 0 : this.#ahead / 2)
      return true
    }
    await this.#writer.write()
    const due = await nextDue(tools.catalog, lane)
    if (due === undefined) return false
    await sleep(Math.min(due, LOOK_MS))
    return true
  }

  /**
   * How many wait in the queue: what is worked in the time between two writes. Their tenants are held, so that with slow
   * migrations it is hardly more than one, and with fast ones not every target costs a question to the catalog.
   */
  get #ahead(): number {
    return Math.min(LONGEST_QUEUE, Math.max(1, Math.ceil((this.#work.pace.width * WRITE_MS) / this.#usualMs)))
  }

  #add(target: HeldTarget): void {
    this.#waiting.set(target.tenantId, target)
    this.#open += 1
    void this.#queue.add(async () => {
      this.#waiting.delete(target.tenantId)
      const begun = performance.now()
      try {
        const finished = await workTarget(this.#work, target, this.#fingerprints)
        this.#writer.add(finished, target.slug)
        if (finished.status === 'pending' && finished.error?.code === 'SERVER_UNREACHABLE') {
          this.#failure ??= new SaasctlError('SERVER_UNREACHABLE', finished.error.message, { retryable: true })
        }
      } catch (thrown) {
        this.#failure ??= asSaasctlError(thrown)
      }
      // Nobody else begins at a server that is gone, nor before a failure is written and the brakes have counted it.
      if (this.#failure || this.#writer.urgent) this.#queue.pause()
      this.#work.forget(target)
      this.#usualMs += (performance.now() - begun - this.#usualMs) / 8
      this.#queue.concurrency = this.#work.pace.width
      this.#open -= 1
      this.#ring()
    })
  }

  /**
   * Until one more is over and no more than so many wait, or it is time to write. Where nothing more was due, all at work are
   * waited for: the catalog would be asked twice for each of the last ones, to give nothing. What happened while it was asked
   * rings no bell here, and is seen at once.
   */
  async #nextFinished(waiting: number): Promise<void> {
    const until = performance.now() + WRITE_MS
    while (this.#open > 0 && !this.#failure && !this.#writer.urgent && performance.now() < until) {
      const rung = new Promise<void>(resolve => {
        this.#ring = resolve
      })
      await Promise.race([rung, sleep(WRITE_MS)])
      if (!this.#isAbove(waiting)) return
    }
  }

  #isAbove(waiting: number): boolean {
    return (waiting === 0 ? this.#open : this.#queue.size) > waiting
  }
}
