import { EventEmitter } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import type { RunnerOptions, Task, TaskList, WorkerPool } from 'graphile-worker'
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
  /** Whether it was over before it was told to stop. */
  isLost(): boolean
  stop(): Promise<void>
}

/**
 * Runs graphile-worker until `stop`. By itself (0.17) it takes the process along, or ends for good, when the catalog is away
 * at the moment that a job's end is to be written: here a new one takes its place, as often as it takes.
 */
export async function startDispatch(options: DispatchOptions): Promise<Dispatch> {
  let stopping = false
  const { busy, taskList } = counted(options.taskList)
  let queue = await startQueue({ ...options, taskList })
  const kept = keep()

  async function keep(): Promise<void> {
    for (await queue.over; !stopping; await queue.over) {
      const lost = queue
      options.onError('The queue was lost; a new one is started.')
      for (let started = false; !started && !stopping; ) {
        try {
          await options.onLost(lost.names)
          queue = await startQueue({ ...options, taskList })
          started = true
          if (stopping) await queue.stop()
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
      // Of a lost one nobody waits for the end: what it waits for itself may never come. What it has begun, does.
      if (!queue.isLost()) await queue.stop()
      await kept
      await Promise.allSettled(busy)
    }
  }
}

/** The same tasks, and those of them that are at work. */
function counted(taskList: TaskList): { busy: Set<Promise<unknown>>; taskList: TaskList } {
  const busy = new Set<Promise<unknown>>()
  const count =
    (task: Task): Task =>
    async (...given) => {
      const work = Promise.resolve(task(...given))
      busy.add(work)
      try {
        return await work
      } finally {
        busy.delete(work)
      }
    }
  const names = Object.keys(taskList) as Array<keyof TaskList>
  return { busy, taskList: Object.fromEntries(names.map(name => [name, count(taskList[name] as Task)])) }
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
  let [isOver, isTold] = [false, false]
  const over = new Promise<void>(resolve =>
    events.once('pool:gracefulShutdown', () => {
      isOver = true
      resolve()
    })
  )
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
    const ended = runner.promise.then(
      () => pool.end(),
      () => pool.end()
    )
    return {
      names,
      over,
      isLost: () => isOver && !isTold,
      stop: async () => {
        isTold = true
        await runner.stop().catch(() => {})
        await ended
      }
    }
  } catch (error) {
    await pool.end().catch(() => {})
    throw error
  }
}
