import { setTimeout as sleep } from 'node:timers/promises'
import { isOver, listOperations, type OperationRow } from '../../src/catalog/operations.js'
import type { Saasctl } from '../../src/saasctl.js'

const patienceMs = 60_000

/**
 * Works every open operation in this process until none is left, as whoever comes next would: takes over what nobody owns
 * any more. Throws with what is left when that does not come to an end.
 */
export async function settle(saasctl: Saasctl): Promise<void> {
  const until = performance.now() + patienceMs
  for (;;) {
    const open = await listOperations(saasctl.catalog, { open: true, limit: 1000 })
    if (open.length === 0) return
    if (performance.now() > until) throw new Error(`Still open: ${JSON.stringify(open)}`)
    const worked = await Promise.all(open.map(({ id }) => saasctl.operations.wake(id)))
    if (!worked.includes(true)) await sleep(20)
  }
}

/** Like `settle`, for one operation; what it waits for is worked too. Gives it as it ended. */
export async function settleOne(saasctl: Saasctl, id: string): Promise<OperationRow> {
  const until = performance.now() + patienceMs
  for (;;) {
    const [operation] = await saasctl.catalog.query<OperationRow>(
      'select id, kind, status, error, epoch, after, tenant_id as "tenantId" from saasctl.operation where id = $1',
      [id]
    )
    if (!operation) throw new Error(`There is no operation ${id}.`)
    if (isOver(operation.status)) return operation
    if (performance.now() > until) throw new Error(`Still open: ${JSON.stringify(operation)}`)
    if (operation.after) await settleOne(saasctl, operation.after)
    if (!(await saasctl.operations.wake(id))) await sleep(20)
  }
}
