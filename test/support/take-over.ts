import { setTimeout as sleep } from 'node:timers/promises'
import type { OperationRow } from '../../src/catalog/operations.js'
import { isOver, listOperations, operationById } from '../../src/catalog/operations.js'
import type { Saasctl } from '../../src/saasctl.js'
import { runWorker } from '../../src/worker.js'
import type { ControlPlane } from './control-plane.js'
import { settleOne } from './settle.js'

export type Successor = 'next process' | 'worker'

/** Lets whoever comes next finish the operation, without being told which one it is when it is a worker. */
export async function takeOver(plane: ControlPlane, id: string, successor: Successor): Promise<OperationRow> {
  if (successor === 'next process') return settleOne(plane.saasctl, id)
  const saasctl = await plane.another()
  return withWorker(saasctl, () => untilOver(saasctl, id))
}

/** A worker that lives as long as `work`. */
export async function withWorker<T>(saasctl: Saasctl, work: () => Promise<T>): Promise<T> {
  const stopping = new AbortController()
  const running = runWorker(saasctl, { concurrency: 2, log: () => {}, signal: stopping.signal })
  try {
    return await Promise.race([work(), running.then(() => Promise.reject(new Error('The worker ended.')))])
  } finally {
    stopping.abort()
    await running
  }
}

const patienceMs = 60_000

/** Only looks: somebody else must do the work. */
export async function untilOver({ catalog }: Saasctl, id: string): Promise<OperationRow> {
  for (const until = performance.now() + patienceMs; ; await sleep(15)) {
    const operation = await operationById(catalog, id)
    if (operation && isOver(operation.status)) return operation
    if (performance.now() > until) throw new Error(`Nobody finished it: ${JSON.stringify(operation)}`)
  }
}

/** Waits until no operation is open, however often the catalog is away meanwhile. */
export async function untilAllOver({ catalog }: Saasctl): Promise<void> {
  for (const until = performance.now() + patienceMs; ; await sleep(30)) {
    const open = await listOperations(catalog, { open: true, limit: 100 }).catch(() => undefined)
    if (open?.length === 0) return
    if (performance.now() > until) throw new Error(`Nobody finished them: ${JSON.stringify(open)}`)
  }
}
