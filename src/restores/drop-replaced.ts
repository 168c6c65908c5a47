import { tenantEvent } from '../catalog/audit.js'
import { databaseById } from '../catalog/databases.js'
import { replacedToDrop } from '../catalog/replaced.js'
import { lockTenant } from '../catalog/tenants.js'
import { startDrop } from '../databases/drop.js'
import type { Context } from '../operations/kind.js'

/** Promises to drop what restores have replaced and whose grace is over. Called once a minute; gives how many. */
export async function dropReplaced(context: Context): Promise<number> {
  const { catalog, actor } = context
  let dropped = 0
  for (const { databaseId, tenantId } of await replacedToDrop(catalog, 100)) {
    await catalog.transaction(actor, async tx => {
      // Whoever is undoing the restore has this row; afterwards it is not a replaced one any more.
      await lockTenant(tx, tenantId)
      if ((await databaseById(tx, databaseId))?.state !== 'retired') return
      tx.audit(tenantEvent(tenantId, 'tenant.restore.settled', { dropped: databaseId }))
      await startDrop(tx, databaseId, { actor, claim: null })
      dropped += 1
    })
  }
  return dropped
}
