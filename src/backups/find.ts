import { backupById, type ListedBackup, latestBackup } from '../catalog/backups.js'
import type { Queryable } from '../catalog/catalog.js'
import { SaasctlError } from '../errors.js'
import { quoteInput } from '../names.js'
import { mustFind } from '../tenants/find.js'

/** The backup with this id; BACKUP_NOT_FOUND says where to look. */
export async function mustFindBackup(q: Queryable, id: string): Promise<ListedBackup> {
  const row = await backupById(q, id)
  if (row) return row
  throw new SaasctlError('BACKUP_NOT_FOUND', `There is no backup ${quoteInput(id)}.`, {
    hint: 'List them with "saasctl backup list".'
  })
}

/** The newest complete backup of the tenant. */
export async function mustFindLatest(q: Queryable, slug: string): Promise<ListedBackup> {
  const tenant = await mustFind(q, slug)
  const row = await latestBackup(q, tenant.id)
  if (row) return row
  throw new SaasctlError('BACKUP_NOT_FOUND', `Tenant ${tenant.slug} has no backup.`, {
    hint: `Make one with "saasctl tenant backup ${tenant.slug}".`
  })
}
