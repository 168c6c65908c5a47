import { backupById, type ListedBackup } from '../catalog/backups.js'
import type { Queryable } from '../catalog/catalog.js'
import { SaasctlError } from '../errors.js'
import { quoteInput } from '../names.js'

/** The backup with this id; BACKUP_NOT_FOUND says where to look. */
export async function mustFindBackup(q: Queryable, id: string): Promise<ListedBackup> {
  const row = await backupById(q, id)
  if (row) return row
  throw new SaasctlError('BACKUP_NOT_FOUND', `There is no backup ${quoteInput(id)}.`, {
    hint: 'List them with "saasctl backup list".'
  })
}
