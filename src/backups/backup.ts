import { takeBackObjects } from '../archives/names.js'
import { takeBackup } from '../archives/take.js'
import { tenantEvent } from '../catalog/audit.js'
import { retrySoon } from '../catalog/backup-schedule.js'
import { type BackupReason, completeBackup, failBackup, insertBackup, type MadeBackup } from '../catalog/backups.js'
import type { Transaction } from '../catalog/catalog.js'
import type { OperationRow } from '../catalog/operations.js'
import { type DatabaseParts, gather } from '../databases/work.js'
import { SaasctlError } from '../errors.js'
import { uuidv7 } from '../names.js'
import type { Context, Kind, Work } from '../operations/kind.js'
import { databaseIdOfTenant, lockForChange } from '../tenants/find.js'
import { changeTenant, startOnTenant, type TenantInput, type TenantOutcome, type Wait } from '../tenants/work.js'

interface BackupInput extends TenantInput {
  backupId: string
  /** The store's address: fixed when it was promised, whatever the configuration says later. */
  store: string
}

class BackupWork implements Work {
  /** It changes nothing on the server and takes no fence there: a suspension does not wait for a dump. */
  readonly enter = undefined
  readonly operation: OperationRow<BackupInput>
  readonly parts: DatabaseParts
  made: MadeBackup | undefined

  constructor(operation: OperationRow<BackupInput>, parts: DatabaseParts) {
    this.operation = operation
    this.parts = parts
  }
}

/** One backup of one tenant. Killed anywhere, it begins anew under other names and removes what was left. */
export const tenantBackup: Kind<BackupInput, BackupWork> = {
  name: 'tenant.backup',
  inputVersion: 1,
  exclusion: 'shared',
  fenceless: true,
  open: async (tools, operation) => new BackupWork(operation, await gather(tools, operation.input.databaseId)),
  steps: [
    {
      name: 'dump and store',
      act: async (work, progress, signal) => {
        const { backupId: id, tenantId, store } = work.operation.input
        const { epoch } = work.operation
        work.made = await takeBackup(work.parts, { id, tenantId, store, epoch }, progress, signal)
      },
      commit: async (tx, { made, operation }) => {
        if (!made) return
        await completeBackup(tx, made)
        const { id, bytes, rowCount, migration } = made
        tx.audit(
          tenantEvent(operation.input.tenantId, 'tenant.backed-up', { backup: id, bytes, rows: rowCount, migration })
        )
      },
      undo: async ({ operation, parts }) => {
        const { backupId, tenantId, store } = operation.input
        await takeBackObjects(parts.tools.stores.open(store), tenantId, backupId)
      }
    }
  ],
  result: ({ made }) => (made ? { backupId: made.id, bytes: made.bytes } : null),
  failed: async (tx, { input, error }) => {
    await failBackup(tx, input.backupId)
    await retrySoon(tx, input.tenantId)
    tx.audit(tenantEvent(input.tenantId, 'tenant.backup-failed', { backup: input.backupId, code: error?.code ?? null }))
  }
}

export interface BackupOutcome extends TenantOutcome {
  backupId: string
}

export interface BackupOptions extends Wait {
  reason?: BackupReason
  /** It may be pruned after so many seconds, and not before; by default the plan decides. */
  keepSeconds?: number | undefined
  stillWanted?: StillWanted
}

/** Asked in the transaction that promises the work, with the tenant's row locked: false calls it off with BACKUP_STATE. */
export type StillWanted = (tx: Transaction, tenantId: string) => Promise<boolean>

export function notWanted(slug: string): SaasctlError {
  return new SaasctlError('BACKUP_STATE', `Somebody else has begun what was due for tenant ${slug}.`)
}

/** Backs the tenant up to the configured store. Two at once are two backups. */
export async function backupTenant(context: Context, slug: string, options: BackupOptions): Promise<BackupOutcome> {
  // An address that is none is told before anything is promised.
  const { url: store } = await context.stores.open(context.stores.usual)
  const id = uuidv7()
  const reason = options.reason ?? 'manual'
  const outcome = await changeTenant(context, options, async (tx, claim) => {
    const tenant = await lockForChange(tx, slug, 'backed up', ['active', 'suspended'])
    if (options.stillWanted && !(await options.stillWanted(tx, tenant.id))) throw notWanted(tenant.slug)
    const input = { backupId: id, store }
    const operation = await startOnTenant(tx, context, tenantBackup, tenant, claim, input)
    await insertBackup(tx, {
      id,
      tenantId: tenant.id,
      databaseId: databaseIdOfTenant(tenant),
      operationId: operation.id,
      reason,
      store,
      keepSeconds: options.keepSeconds ?? null
    })
    tx.audit(tenantEvent(tenant.id, 'tenant.backup', { backup: id, reason, store }))
    return operation
  })
  return { ...outcome, backupId: id }
}
