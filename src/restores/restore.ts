import { notComplete } from '../archives/read.js'
import { tenantEvent } from '../catalog/audit.js'
import { type BackupRow, backupById, latestBackup } from '../catalog/backups.js'
import type { Queryable } from '../catalog/catalog.js'
import { databaseById, templateDatabase } from '../catalog/databases.js'
import { replaceDatabase, setHeld } from '../catalog/replaced.js'
import { serverById } from '../catalog/servers.js'
import type { PlacedTenant } from '../catalog/tenants.js'
import { recordDropped } from '../databases/drop-steps.js'
import { gather } from '../databases/work.js'
import { SaasctlError } from '../errors.js'
import { quoteInput } from '../names.js'
import type { Context, Kind } from '../operations/kind.js'
import { currentTemplate } from '../templates/register.js'
import { databaseIdOfTenant, lockForChange, mustFind } from '../tenants/find.js'
import { changeTenant, startOnTenant, type TenantOutcome, type Wait } from '../tenants/work.js'
import { besideSteps } from './beside-steps.js'
import { inside } from './fill.js'
import { holdSteps } from './hold-steps.js'
import { promiseBeside } from './new-database.js'
import { BesideWork, type RestoreInput } from './work.js'

interface ReplaceInput extends RestoreInput {
  /** What the tenant has when it begins. */
  replaces: string
}

class ReplaceWork extends BesideWork {
  writes = ''
}

/**
 * Restores a backup beside the tenant's database and puts it in its place in one transaction. Until then everything can be
 * taken back, and the database that was replaced is kept for its grace.
 */
export const tenantRestore: Kind<ReplaceInput, ReplaceWork> = {
  name: 'tenant.restore',
  inputVersion: 1,
  exclusion: 'exclusive',
  pivot: 'take its place',
  open: async (tools, operation) => {
    const { databaseId, replaces } = operation.input
    return new ReplaceWork(operation, await gather(tools, databaseId), await gather(tools, replaces))
  },
  steps: [
    ...besideSteps,
    ...holdSteps,
    {
      name: 'take its place',
      act: async work => {
        work.writes = await inside(work, owned => owned.writes())
      },
      commit: async (tx, work) => {
        const { tenantId, replaces, source } = work.input as ReplaceInput
        const keepSeconds = work.tools.grace.deleteSeconds
        const change = { tenantId, from: replaces, to: work.database.id, writes: work.writes, keepSeconds }
        if (!(await replaceDatabase(tx, change))) throw movedAway(work.input.slug)
        await setHeld(tx, tenantId, false)
        tx.audit(tenantEvent(tenantId, 'tenant.restored', { ...source, from: replaces, to: work.database.id }))
      }
    },
    {
      // A suspension does not wait for a restore: what it closed was the old one.
      name: 'settle',
      act: async work => {
        if ((await work.appLogins()).length === 0) await work.session.closeLogins(work.names, ['app_a', 'app_b'])
      }
    }
  ],
  failed: async (tx, { input, error }) => {
    await recordDropped(tx, input.databaseId)
    tx.audit(tenantEvent(input.tenantId, 'tenant.restore.failed', { code: error?.code }))
  }
}

export interface RestoreWish {
  /** The backup's id; the latest complete one when absent. */
  backup?: string | undefined
  /** Bring an older schema to the fleet's version. */
  migrate?: boolean | undefined
}

/**
 * Restores a tenant from one of its own backups. NOT_ALLOWED for another tenant's: that is what `--as` is for.
 * A backup that is damaged, or whose key is gone, is found out before anything of the tenant is touched.
 */
export function restoreTenant(
  context: Context,
  slug: string,
  wish: RestoreWish,
  options: Wait
): Promise<TenantOutcome> {
  return changeTenant(context, options, async (tx, claim) => {
    const tenant = await lockForChange(tx, slug, 'restored', ['active', 'suspended'])
    const backup = await chosenBackup(tx, tenant, wish.backup)
    const replaces = databaseIdOfTenant(tenant)
    const database = await databaseById(tx, replaces)
    const server = database && (await serverById(tx, database.serverId))
    if (!server)
      throw new SaasctlError('SERVER_NOT_FOUND', `The server of tenant ${tenant.slug} is not in the catalog.`)
    const databaseId = await promiseBeside(tx, context, server, database)
    const migrate = wish.migrate === true && { to: await fleetVersion(context, server.id, tenant.template) }
    tx.audit(tenantEvent(tenant.id, 'tenant.restore', { backup: backup.id, migrate: wish.migrate === true }))
    return startOnTenant(tx, context, tenantRestore, tenant, claim, {
      databaseId,
      replaces,
      template: tenant.template,
      source: { backup: backup.id },
      sourceTenantId: null,
      migrate
    })
  })
}

/** The backup that a restore of this tenant would take, for whoever has to agree to it. */
export async function backupToRestore(context: Context, slug: string, id: string | undefined): Promise<BackupRow> {
  return chosenBackup(context.catalog, await mustFind(context.catalog, slug), id)
}

async function chosenBackup(q: Queryable, tenant: PlacedTenant, id: string | undefined): Promise<BackupRow> {
  const backup = await (id === undefined ? latestBackup(q, tenant.id) : backupById(q, id))
  if (!backup) {
    const [what, hint] =
      id === undefined
        ? [`Tenant ${tenant.slug} has no backup.`, `Make one with "saasctl tenant backup ${tenant.slug}".`]
        : [`There is no backup ${quoteInput(id)}.`, `See what there is with "saasctl backup list ${tenant.slug}".`]
    throw new SaasctlError('BACKUP_NOT_FOUND', what, { hint })
  }
  if (backup.tenantId !== tenant.id) {
    throw new SaasctlError('NOT_ALLOWED', `Backup ${backup.id} is of another tenant than ${tenant.slug}.`, {
      hint: `Make a new tenant of it: "saasctl tenant restore ${backup.slug} --backup ${backup.id} --as NEW-SLUG".`
    })
  }
  if (backup.status !== 'complete') throw notComplete(backup)
  return backup
}

/** Where the fleet is: the head that new tenants start at. Null is the newest file. */
export async function fleetVersion(context: Context, serverId: string, template: string): Promise<string | null> {
  const { id } = await currentTemplate(context, template)
  return (await templateDatabase(context.catalog, serverId, id))?.migration ?? null
}

export const movedAway = (slug: string) =>
  new SaasctlError('TENANT_STATE', `Tenant ${slug} has another database than when its restore began.`, {
    hint: 'Nothing was put in its place; look at the tenant and begin again.'
  })
