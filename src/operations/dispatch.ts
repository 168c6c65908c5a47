import { EventEmitter } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import type { RunnerOptions, WorkerPool } from 'graphile-worker'
import type pg from 'pg'
import { asSaasctlError } from '../errors.js'

export interface DispatchOptions
  extends Required<Pick<RunnerOptions, 'concurrency' | 'pollInterval' | 'crontab' | 'taskList'>> {
  openPool: () => pg.Pool
  onError: (message: string) => void
  /** A queue was lost that had these names on the locks of its jobs; nobody works those jobs any more. */
  onLost: (names: string[]) => Promise<void>
}

export interface Dispatch {
  /** The names that this process has on the locks of its jobs. */
  names(): string[]
  stop(): Promise<void>
}

interface Queue {
  names: string[]
  /** Resolves as soon as it takes no more jobs, whatever the reason. */
  over: Promise<unknown>
  stop(): Promise<void>
}

/**
 * Runs graphile-worker until `stop`. By itself (0.17) it takes the process along, or ends for good, when the catalog is away
 * at the moment that a job's end is to be written: here a new one takes its place, as often as it takes.
 */
export async function startDispatch(options: DispatchOptions): Promise<Dispatch> {
  let stopping = false
  let queue = await startQueue(options)
  const kept = keep()

  async function keep(): Promise<void> {
    for (await queue.over; !stopping; await queue.over) {
      const lost = queue
      options.onError('The queue was lost; a new one is started.')
      for (let started = false; !started && !stopping; ) {
        try {
          await options.onLost(lost.names)
          queue = await startQueue(options)
          started = true
        } catch (error) {
          options.onError(`The queue does not start: ${asSaasctlError(error).message}`)
          await sleep(options.pollInterval)
        }
      }
    }
  }

  return {
    names: () => queue.names,
    stop: async () => {
      stopping = true
      await queue.stop()
      await kept
    }
  }
}

async function startQueue({
  openPool,
  onError,
  concurrency,
  pollInterval,
  crontab,
  taskList
}: DispatchOptions): Promise<Queue> {
  const { Logger, run } = await import('graphile-worker')
  const events = new EventEmitter()
  const names: string[] = []
  events.on('pool:create', ({ workerPool }: { workerPool: WorkerPool }) => names.push(workerPool.id))
  const over = new Promise(resolve => events.once('pool:gracefulShutdown', resolve))
  const pool = openPool()
  try {
    const runner = await run({
      pgPool: pool,
      concurrency,
      pollInterval,
      crontab,
      taskList,
      events,
      noHandleSignals: true,
      logger: new Logger(() => (level, message) => {
        if (level === 'error') onError(message)
      }),
      // With a delay, even of none, what goes wrong in writing an end is the queue's error; without, nobody catches it.
      preset: { worker: { completeJobBatchDelay: 0, failJobBatchDelay: 0 } }
    })
    // Of a lost one nobody waits for the end: what it waits for itself may never come, and nothing of it is needed.
    const ended = runner.promise.then(
      () => pool.end(),
      () => pool.end()
    )
    return {
      names,
      over,
      stop: async () => {
        await runner.stop().catch(() => {})
        await ended
      }
    }
  } catch (error) {
    await pool.end().catch(() => {})
    throw error
  }
}
