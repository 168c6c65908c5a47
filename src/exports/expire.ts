import { tenantEvent } from '../catalog/audit.js'
import { expiredExports, setExportStatus } from '../catalog/exports.js'
import { isUnderHold, keepHoldsAway } from '../catalog/holds.js'
import type { Context } from '../operations/kind.js'

/**
 * Removes the files whose time is over; their rows stay. A legal hold keeps those of its tenant. Called once a minute by one
 * worker; a second time is OK. A store that is away keeps nobody from clearing the others; its error comes last.
 */
export async function expireExports({ catalog, stores, actor }: Context): Promise<number> {
  let expired = 0
  const failures: unknown[] = []
  for (const { id, tenantId, store, object } of await expiredExports(catalog, 100)) {
    try {
      await catalog.transaction(actor, async tx => {
        await keepHoldsAway(tx, [tenantId])
        if (await isUnderHold(tx, tenantId)) return
        if (store !== null && object !== null) await (await stores.open(store)).remove(object)
        await setExportStatus(tx, id, 'expired')
        tx.audit(tenantEvent(tenantId, 'export.expire', { export: id }))
        expired += 1
      })
    } catch (error) {
      failures.push(error)
    }
  }
  if (failures.length > 0) throw failures[0]
  return expired
}
