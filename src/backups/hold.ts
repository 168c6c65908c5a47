import { notComplete } from '../archives/read.js'
import { tenantEvent } from '../catalog/audit.js'
import { type ListedBackup, setHold } from '../catalog/backups.js'
import { SaasctlError } from '../errors.js'
import type { Context } from '../operations/kind.js'
import { mustFindBackup } from './find.js'

/** Keeps the backup until it is released, whatever its plan or its own end says. A second hold has the new reason. */
export function holdBackup(context: Context, id: string, reason: string): Promise<ListedBackup> {
  if (reason.trim() === '') {
    throw new SaasctlError('USAGE', 'A hold needs a reason.', {
      hint: 'Say it with --reason; it stands in the audit trail.'
    })
  }
  return change(context, id, reason)
}

/** Ends the hold; ending none is OK. The next prune may remove the backup. */
export function releaseBackup(context: Context, id: string): Promise<ListedBackup> {
  return change(context, id, null)
}

async function change({ catalog, actor }: Context, id: string, reason: string | null): Promise<ListedBackup> {
  const { tenantId } = await mustFindBackup(catalog, id)
  return catalog.transaction(actor, async tx => {
    const held = await setHold(tx, id, reason)
    const row = await mustFindBackup(tx, id)
    if (!held) throw notComplete(row)
    const action = reason === null ? 'backup.release' : 'backup.hold'
    tx.audit(tenantEvent(tenantId, action, { backup: id, ...(reason !== null && { reason }) }))
    return row
  })
}
