import { hostname } from 'node:os'
import type pg from 'pg'
import type { Catalog } from '../catalog/catalog.js'
import { sweep } from '../catalog/ledger.js'
import { forgetDeadWorkers, forgetWorker, heartbeat, unlockJobs } from '../catalog/workers.js'
import { asSaasctlError, SaasctlError } from '../errors.js'
import { isUuid, uuidv7 } from '../names.js'
import { startDispatch } from './dispatch.js'
import { type Operations, workerLifeSeconds } from './operations.js'

export interface WorkerOptions {
  concurrency: number
  version: string
  /** Once a minute, in one worker at a time: what is due by the calendar. */
  onMinute: () => Promise<void>
  log: (line: { level: 'info' | 'error'; message: string; operation?: string }) => void
  /** Milliseconds between heartbeats and between sweeps. */
  beatMs: number
}

/**
 * Works operations for everybody until `stop`. Dispatch is graphile-worker's; a job only wakes the ledger, which decides.
 * A worker killed with SIGKILL leaves locked jobs behind, for up to four hours by graphile-worker's own rule: the others
 * see that its heart stopped and unlock them.
 */
export async function startWorker(
  catalog: Catalog,
  openPool: () => pg.Pool,
  operations: Operations,
  options: WorkerOptions
): Promise<{ id: string; stop(): Promise<void> }> {
  const worker = { id: uuidv7(), host: hostname(), pid: process.pid, version: options.version }
  const dispatch = await startDispatch({
    openPool,
    concurrency: options.concurrency,
    pollInterval: options.beatMs,
    crontab: '* * * * * minute ?max=1',
    taskList: {
      operation: payload => wake(operations, payload, options.log),
      minute: () => options.onMinute()
    },
    onError: message => options.log({ level: 'error', message }),
    onLost: names => unlockJobs(catalog, names)
  })
  await heartbeat(catalog, worker, dispatch.names()).catch(async error => {
    await dispatch.stop()
    throw error
  })
  const beat = setInterval(() => look(catalog, worker, dispatch.names(), options), options.beatMs)
  return {
    id: worker.id,
    stop: async () => {
      clearInterval(beat)
      await dispatch.stop()
      await forgetWorker(catalog, worker.id)
    }
  }
}

async function wake(operations: Operations, payload: unknown, log: WorkerOptions['log']): Promise<void> {
  const id = (payload as { id?: unknown }).id
  if (typeof id !== 'string' || !isUuid(id))
    throw new SaasctlError('FAILED', 'A job without an operation was left alone.')
  try {
    if (await operations.wake(id)) log({ level: 'info', message: 'worked', operation: id })
  } catch (thrown) {
    // The ledger knows what happened, or another process has the operation now; the job has done its part.
    const error = asSaasctlError(thrown)
    log({ level: error.code === 'FENCED' ? 'info' : 'error', message: error.message, operation: id })
  }
}

/** One heartbeat: says that we live, buries the dead, and wakes what is due. */
async function look(
  catalog: Catalog,
  worker: Parameters<typeof heartbeat>[1],
  queueIds: string[],
  options: WorkerOptions
): Promise<void> {
  try {
    await heartbeat(catalog, worker, queueIds)
    await forgetDeadWorkers(catalog, workerLifeSeconds * 3)
    await sweep(catalog)
  } catch (thrown) {
    options.log({ level: 'error', message: asSaasctlError(thrown).message })
  }
}
