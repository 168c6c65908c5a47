import { tenantEvent } from '../catalog/audit.js'
import { expiredExports, setExportStatus } from '../catalog/exports.js'
import type { Context } from '../operations/kind.js'

/** Removes the files whose time is over; their rows stay. Called once a minute by one worker; a second time is OK. */
export async function expireExports({ catalog, stores, actor }: Context): Promise<number> {
  const due = await expiredExports(catalog, 100)
  for (const { id, tenantId, store, object } of due) {
    if (store !== null && object !== null) await (await stores.open(store)).remove(object)
    await catalog.transaction(actor, async tx => {
      await setExportStatus(tx, id, 'expired')
      tx.audit(tenantEvent(tenantId, 'export.expire', { export: id }))
    })
  }
  return due.length
}
