import { takeBackObjects } from '../archives/names.js'
import { takeBackup } from '../archives/take.js'
import { tenantEvent } from '../catalog/audit.js'
import { completeBackup, failBackup, insertBackup, type MadeBackup } from '../catalog/backups.js'
import { unplace } from '../catalog/databases.js'
import { forgetHostnames } from '../catalog/hostnames.js'
import { putPurgeOff, quarantineSlug, setTenantStatus, type TenantStatus, tenantsToPurge } from '../catalog/tenants.js'
import { dropSteps, recordDropped } from '../databases/drop-steps.js'
import { DatabaseWork, gather } from '../databases/work.js'
import type { LoginRole } from '../engines/engine.js'
import { asSaasctlError, SaasctlError } from '../errors.js'
import { uuidv7 } from '../names.js'
import type { Context, Kind } from '../operations/kind.js'
import { databaseIdOfTenant, lockForChange } from './find.js'
import { refuseHeld } from './hold.js'
import { changeTenant, startOnTenant, type TenantInput, type TenantOutcome, type Wait } from './work.js'

interface PurgeInput extends TenantInput {
  /** What it was before, and is again when its last backup cannot be made. */
  before: TenantStatus
  /** The last backup and its store; null when none is wanted. */
  backupId: string | null
  store: string | null
}

class PurgeWork extends DatabaseWork {
  made: MadeBackup | undefined

  get input(): PurgeInput {
    return this.operation.input as PurgeInput
  }
}

/** Which logins a tenant of this status has open. */
function openIn(status: TenantStatus): LoginRole[] {
  if (status === 'active') return ['owner', 'app_a', 'app_b', 'readonly']
  return status === 'suspended' ? ['owner', 'readonly'] : []
}

const everybodyElse: LoginRole[] = ['app_a', 'app_b', 'readonly']

/**
 * The end of a tenant: a last backup, that nothing is written after, and then logins, database and placement go; the row
 * stays as proof, its slug is kept back. Until the backup is there everything can be as it was.
 */
export const tenantPurge: Kind<PurgeInput, PurgeWork> = {
  name: 'tenant.purge',
  inputVersion: 2,
  exclusion: 'exclusive',
  pivot: 'last backup',
  open: async (tools, operation) => new PurgeWork(operation, await gather(tools, operation.input.databaseId)),
  steps: [
    {
      name: 'shut everybody out',
      act: async ({ session, names, input }) => {
        await session.closeLogins(names, everybodyElse)
        if (input.backupId !== null) await session.openLogins(names, ['owner'])
      },
      undo: async ({ session, names, input }) => {
        const open = openIn(input.before)
        if (!open.includes('owner')) await session.closeLogins(names, ['owner'])
        await session.openLogins(names, open)
      }
    },
    {
      name: 'last backup',
      act: async (work, progress, signal) => {
        const { backupId: id, store, tenantId } = work.input
        if (id === null || store === null) return
        const wish = { id, tenantId, store, epoch: work.operation.epoch }
        work.made = await takeBackup(work, wish, progress, signal).catch(thrown => {
          throw withoutBackup(work.input.slug, asSaasctlError(thrown))
        })
      },
      commit: async (tx, { made, input }) => {
        if (!made) return
        await completeBackup(tx, made)
        const { id, bytes, rowCount } = made
        tx.audit(tenantEvent(input.tenantId, 'tenant.backed-up', { backup: id, bytes, rows: rowCount }))
      },
      undo: async ({ tools, input: { backupId, store, tenantId } }) => {
        if (backupId !== null && store !== null) await takeBackObjects(tools.stores.open(store), tenantId, backupId)
      }
    },
    ...dropSteps,
    {
      name: 'forget it',
      commit: async (tx, { input, database, tools }) => {
        const { tenantId, slug } = input
        await unplace(tx, tenantId)
        const domains = await forgetHostnames(tx, tenantId)
        await recordDropped(tx, database.id)
        await quarantineSlug(tx, slug, tenantId, tools.grace.slugSeconds)
        await setTenantStatus(tx, tenantId, 'purged')
        tx.audit(tenantEvent(tenantId, 'tenant.purged', { database: database.name, domains }))
      }
    }
  ],
  failed: async (tx, { input, error }) => {
    const { tenantId, before, backupId } = input
    if (backupId !== null) await failBackup(tx, backupId)
    await setTenantStatus(tx, tenantId, before)
    if (before === 'deleted') await putPurgeOff(tx, tenantId, RETRY_SECONDS)
    tx.audit(tenantEvent(tenantId, 'tenant.purge-failed', { after: before, code: error?.code ?? null }))
  }
}

/** The same error, with the other way out. */
function withoutBackup(slug: string, error: SaasctlError): SaasctlError {
  const { code, message, hint, retryable, data } = error
  if (code === 'CANCELLED' || code === 'FENCED') return error
  const other = `Or let it go without a last backup: saasctl tenant delete ${slug} --now --no-backup`
  return new SaasctlError(code, message, {
    hint: hint === undefined ? other : `${hint} ${other}`,
    retryable,
    ...(data && { data }),
    cause: error
  })
}

/** A last backup that could not be made is tried again after so long, not every minute. */
const RETRY_SECONDS = 3600

export interface PurgeOptions extends Wait {
  reason?: string | undefined
  /** False drops the tenant without a last backup. */
  backup?: boolean | undefined
}

/** Deletes the tenant for good, now: nothing of it can come back but from its last backup, which has an end of its own. */
export async function purgeTenant(context: Context, slug: string, options: PurgeOptions): Promise<TenantOutcome> {
  const { url: store } = await context.stores.open(context.stores.usual)
  return changeTenant(context, options, async (tx, claim) => {
    const tenant = await lockForChange(tx, slug, 'purged', ['active', 'suspended', 'deleted', 'purging'])
    await refuseHeld(tx, tenant)
    const wanted = options.backup ?? tenant.finalBackup
    const backupId = wanted ? uuidv7() : null
    await setTenantStatus(tx, tenant.id, 'purging')
    tx.audit(
      tenantEvent(tenant.id, 'tenant.purge', { before: tenant.status, reason: options.reason, backup: backupId })
    )
    const more = { before: tenant.status, backupId, store: wanted ? store : null }
    const operation = await startOnTenant(tx, context, tenantPurge, tenant, claim, more)
    if (backupId !== null) {
      const keepSeconds = context.grace.finalBackupSeconds
      await insertBackup(tx, {
        id: backupId,
        tenantId: tenant.id,
        databaseId: databaseIdOfTenant(tenant),
        operationId: operation.id,
        reason: 'final',
        store,
        keepSeconds
      })
    }
    return operation
  })
}

/** Promises the end of every tenant whose grace is over; workers do the rest. Called once a minute. */
export async function purgeDue(context: Context): Promise<number> {
  let purged = 0
  for (const { id } of await tenantsToPurge(context.catalog, 100)) {
    try {
      await purgeTenant(context, id, { wait: false, reason: 'the grace is over' })
      purged += 1
    } catch (thrown) {
      // Somebody has begun something with it in between, or brought it back: the others do not wait for that.
      if (!['TENANT_BUSY', 'TENANT_STATE', 'TENANT_HELD'].includes(asSaasctlError(thrown).code)) throw thrown
    }
  }
  return purged
}
