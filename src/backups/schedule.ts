import { backupsToRemove, expendableBackups } from '../catalog/backup-retention.js'
import {
  dueBackups,
  dueDrills,
  followPlans,
  pruneIsDue,
  takeDueBackup,
  takeDueDrill
} from '../catalog/backup-schedule.js'
import { asSaasctlError } from '../errors.js'
import type { Context } from '../operations/kind.js'
import { backupTenant } from './backup.js'
import { pruneBackups } from './prune.js'
import { verifyBackup } from './verify.js'

export interface Started {
  backups: number
  drills: number
  prunes: number
}

/** Somebody else was first, or is at work on it: the next minute looks again. */
const passing = ['TENANT_BUSY', 'TENANT_STATE', 'BACKUP_STATE', 'BACKUP_NOT_FOUND']

/**
 * Promises what is due by the plans: backups, drills and, once an hour, a prune; workers do the rest. Never more at once on
 * one server than `perServer`, what is at work counted in. Called once a minute.
 */
export async function backupsDue(context: Context, perServer: number): Promise<Started> {
  const { catalog } = context
  await followPlans(catalog)
  let backups = 0
  for (const { tenantId, asked } of await dueBackups(catalog, { perServer })) {
    const reason = asked ? 'manual' : 'schedule'
    if (await begun(backupTenant(context, tenantId, { wait: false, reason, stillWanted: takeDueBackup }))) backups += 1
  }
  let drills = 0
  for (const { backupId } of await dueDrills(catalog, perServer)) {
    if (await begun(verifyBackup(context, backupId, { wait: false, stillWanted: takeDueDrill }))) drills += 1
  }
  const prunes = (await pruneIsDue(catalog)) && (await somethingToPrune(context)) ? 1 : 0
  if (prunes > 0) await pruneBackups(context, undefined, { wait: false })
  return { backups, drills, prunes }
}

async function begun(beginning: Promise<unknown>): Promise<boolean> {
  try {
    await beginning
    return true
  } catch (error) {
    if (passing.includes(asSaasctlError(error).code)) return false
    throw error
  }
}

async function somethingToPrune({ catalog }: Context): Promise<boolean> {
  return (await backupsToRemove(catalog)).length > 0 || (await expendableBackups(catalog, null)).length > 0
}
