import { notComplete } from '../archives/read.js'
import { tenantEvent } from '../catalog/audit.js'
import { backupById, latestBackup } from '../catalog/backups.js'
import { settleAhead } from '../catalog/bindings.js'
import type { Transaction } from '../catalog/catalog.js'
import { databaseById, place, setDatabaseState } from '../catalog/databases.js'
import { violates } from '../catalog/errors.js'
import { serverById } from '../catalog/servers.js'
import { insertTenant, type PlacedTenant, setTenantStatus } from '../catalog/tenants.js'
import { recordDropped } from '../databases/drop-steps.js'
import { gather } from '../databases/work.js'
import { SaasctlError } from '../errors.js'
import { parseSlug, quoteInput, uuidv7 } from '../names.js'
import type { Context, Kind, Step } from '../operations/kind.js'
import { startOperation } from '../operations/start.js'
import { databaseIdOfTenant, lockForChange, mustFind } from '../tenants/find.js'
import { checkQuarantine, slugTaken } from '../tenants/slugs.js'
import type { TenantOutcome, Wait } from '../tenants/work.js'
import { besideSteps } from './beside-steps.js'
import { heldSteps } from './held-steps.js'
import { promiseBeside } from './new-database.js'
import { fleetVersion } from './restore.js'
import { BesideWork, type RestoreInput, type Source } from './work.js'

export interface CloneInput extends RestoreInput {
  /** The database whose server and template the new one shares. */
  like: string
}

const activate: Step<BesideWork> = {
  name: 'activate',
  commit: async (tx, { input, database }) => {
    await setDatabaseState(tx, database.id, 'placed')
    await place(tx, input.tenantId, database.id)
    await setTenantStatus(tx, input.tenantId, 'active')
    await settleAhead(tx, database.id)
    tx.audit(tenantEvent(input.tenantId, 'tenant.activate', { ...input.source }))
  }
}

const kind = {
  inputVersion: 1,
  exclusion: 'exclusive',
  open: async (tools, operation) => {
    const { databaseId, like } = operation.input
    return new BesideWork(operation, await gather(tools, databaseId), await gather(tools, like))
  },
  failed: async (tx, { input, error }) => {
    await recordDropped(tx, input.databaseId)
    await setTenantStatus(tx, input.tenantId, 'failed')
    tx.audit(tenantEvent(input.tenantId, 'tenant.create.failed', { code: error?.code }))
  }
} satisfies Partial<Kind<CloneInput, BesideWork>>

/** Makes another tenant of a backup, or of what a tenant is at this moment: with an identity of its own. */
export const tenantClone: Kind<CloneInput, BesideWork> = {
  ...kind,
  name: 'tenant.clone',
  steps: [...besideSteps, activate]
}

/** The same as a copy by the server itself, for which nobody may be inside: the tenant is held meanwhile. */
export const tenantCloneHeld: Kind<CloneInput, BesideWork> = {
  ...kind,
  name: 'tenant.clone.held',
  steps: [...heldSteps, activate]
}

export interface CloneWish {
  as: string
  /** Copies at the server, faster, while nobody may be inside. */
  hold?: boolean | undefined
}

/** Makes `as` of what a tenant is now. It goes on meanwhile, unless `hold` is asked for. */
export async function cloneTenant(
  context: Context,
  slug: string,
  wish: CloneWish,
  options: Wait
): Promise<TenantOutcome> {
  return promiseClone(context, wish.as, options, async tx => {
    const from = await lockForChange(tx, slug, 'cloned', ['active', 'suspended'])
    const like = databaseIdOfTenant(from)
    if (!wish.hold) return { from, like, source: { live: like }, kind: tenantClone, migrate: false }
    const { server } = await gather(context, like)
    if (!server.facts.capabilities?.templateCopy) throw cannotCopy(server.name)
    return { from, like, source: { live: like }, kind: tenantCloneHeld, migrate: false, held: true }
  })
}

/** Makes `as` of a backup of a tenant, the latest unless given. */
export async function restoreAs(
  context: Context,
  slug: string,
  wish: { as: string; backup?: string | undefined; migrate?: boolean | undefined },
  options: Wait
): Promise<TenantOutcome> {
  return promiseClone(context, wish.as, options, async tx => {
    const from = await mustFind(tx, slug)
    const backup = await (wish.backup === undefined ? latestBackup(tx, from.id) : backupById(tx, wish.backup))
    if (backup?.tenantId !== from.id) {
      const what = wish.backup === undefined ? 'no backup' : `no backup ${quoteInput(wish.backup)}`
      throw new SaasctlError('BACKUP_NOT_FOUND', `Tenant ${from.slug} has ${what}.`, {
        hint: `See what there is with "saasctl backup list ${from.slug}".`
      })
    }
    if (backup.status !== 'complete') throw notComplete(backup)
    const source = { backup: backup.id }
    return { from, like: backup.databaseId, source, kind: tenantClone, migrate: wish.migrate === true }
  })
}

const cannotCopy = (server: string): SaasctlError =>
  new SaasctlError('SERVER_UNSUPPORTED', `Server ${server} cannot copy a database by itself.`, {
    hint: 'Leave --hold out: the tenant is cloned through a dump, and goes on meanwhile.'
  })

interface Promised {
  from: PlacedTenant
  like: string
  source: Source
  kind: Kind<CloneInput, BesideWork>
  migrate: boolean
  /** The tenant that is cloned is held meanwhile: then the operation excludes others on both. */
  held?: boolean
}

async function promiseClone(
  context: Context,
  as: string,
  options: Wait,
  choose: (tx: Transaction) => Promise<Promised>
): Promise<TenantOutcome> {
  const slug = parseSlug(as)
  const id = uuidv7()
  const claim = await context.operations.claim(options.wait)
  try {
    const started = await context.catalog.transaction(context.actor, async tx => {
      const promised = await choose(tx)
      const { from, like, source } = promised
      const database = await databaseById(tx, like)
      const server = database && (await serverById(tx, database.serverId))
      if (!server)
        throw new SaasctlError('SERVER_NOT_FOUND', `The server of tenant ${from.slug} is not in the catalog.`)
      const { plan, template, labels, region } = from
      await insertTenant(tx, { id, slug, displayName: null, status: 'creating', plan, template, labels, region })
      await checkQuarantine(tx, slug, id)
      const databaseId = await promiseBeside(tx, context, server, database)
      const migrate = promised.migrate && { to: await fleetVersion(context, server.id, template) }
      tx.audit(tenantEvent(id, 'tenant.create', { slug, from: from.id, ...source, template, plan, labels }))
      return startOperation(tx, {
        kind: promised.kind,
        input: { tenantId: id, databaseId, slug, template, source, sourceTenantId: from.id, migrate, like },
        subject: `tenant:${id}`,
        // Nothing else may work on a tenant that is held; on one that is not, everything may.
        ...(promised.held ? { tenantId: from.id } : { tenantId: id, newTenant: true as const }),
        actor: context.actor,
        claim
      })
    })
    const operation = options.wait ? await context.operations.follow(started, options) : started
    return { tenant: await mustFind(context.catalog, id), operation }
  } catch (error) {
    throw violates(error, 'tenant_slug') ? slugTaken(slug) : error
  }
}
