import type { Manifest } from '../archives/manifest.js'
import { openArchive } from '../archives/read.js'
import { type BackupStatus, type ListedBackup, listBackups } from '../catalog/backups.js'
import { asSaasctlError, type ErrorRecord } from '../errors.js'
import type { Context } from '../operations/kind.js'
import { mustFind } from '../tenants/find.js'
import { mustFindBackup } from './find.js'

const there: BackupStatus[] = ['making', 'complete', 'failed']

/** Backups of one tenant, or of all of them, newest first. */
export async function listBackupsOf(
  { catalog }: Context,
  slug: string | undefined,
  { removed, ...page }: { limit: number; before?: string; removed: boolean }
): Promise<ListedBackup[]> {
  const statuses: BackupStatus[] = removed ? [...there, 'removing', 'removed'] : there
  const of = slug === undefined ? {} : { tenantId: (await mustFind(catalog, slug)).id }
  return listBackups(catalog, { ...of, statuses, ...page })
}

export interface ShownBackup extends Omit<ListedBackup, 'manifest'> {
  manifest: Manifest | null
  /** Why the manifest could not be read, which is worth knowing before a restore is needed. */
  manifestError: ErrorRecord | null
}

/** What the catalog knows of a backup, beside what its own manifest in the store says. */
export async function showBackup(context: Context, id: string): Promise<ShownBackup> {
  const row = await mustFindBackup(context.catalog, id)
  if (row.status !== 'complete') return { ...row, manifest: null, manifestError: null }
  try {
    return { ...row, manifest: (await openArchive(context, row)).manifest, manifestError: null }
  } catch (thrown) {
    return { ...row, manifest: null, manifestError: asSaasctlError(thrown).toJSON() }
  }
}
