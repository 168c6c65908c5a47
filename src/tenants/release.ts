import { adoptionOf, freeName } from '../catalog/adoptions.js'
import { tenantEvent } from '../catalog/audit.js'
import { unplace } from '../catalog/databases.js'
import { forgetHostnames } from '../catalog/hostnames.js'
import { quarantineSlug, setTenantStatus } from '../catalog/tenants.js'
import { recordDropped } from '../databases/drop-steps.js'
import { DatabaseWork, gather } from '../databases/work.js'
import { SaasctlError } from '../errors.js'
import type { Context, Kind } from '../operations/kind.js'
import { databaseIdOfTenant, inState, lockForChange, mustFind } from './find.js'
import { refuseHeld } from './hold.js'
import { changeTenant, startOnTenant, type TenantInput, type TenantOutcome, type Wait } from './work.js'

interface ReleaseInput extends TenantInput {
  /** The role that gets it; null where databases have no owners. */
  to: string | null
  name: string
}

/**
 * Gives a tenant's database away as it is: the catalog forgets the tenant, the database and its data stay. Only forward: what
 * could refuse was asked before.
 */
export const tenantRelease: Kind<ReleaseInput, DatabaseWork> = {
  name: 'tenant.release',
  inputVersion: 1,
  exclusion: 'exclusive',
  pivot: 'start',
  open: async (tools, operation) => new DatabaseWork(operation, await gather(tools, operation.input.databaseId)),
  steps: [
    { name: 'close logins', act: ({ session, names }) => session.closeLogins(names, ['app_a', 'app_b', 'readonly']) },
    {
      name: 'give back',
      act: async ({ session, names, logins, operation }) => {
        const { to, name } = operation.input as ReleaseInput
        await session.takeover.giveBack({ names, owner: await logins.credentials('owner'), name, to })
      }
    },
    { name: 'drop logins', act: ({ session, names }) => session.dropLogins(names) },
    {
      name: 'forget it',
      commit: async (tx, { operation, database, tools }) => {
        const { tenantId, slug, to, name } = operation.input as ReleaseInput
        await unplace(tx, tenantId)
        const domains = await forgetHostnames(tx, tenantId)
        await recordDropped(tx, database.id)
        await freeName(tx, database.id)
        await quarantineSlug(tx, slug, tenantId, tools.grace.slugSeconds)
        await setTenantStatus(tx, tenantId, 'purged')
        tx.audit(tenantEvent(tenantId, 'tenant.purged', { released: name, to, domains }))
      }
    }
  ]
}

export interface ReleaseWish {
  /** The role that is to own database and objects; asked for where databases have owners. */
  to?: string | undefined
  /** What the database is called from then on; by default what it was called when it was adopted, else as it is now. */
  name?: string | undefined
  reason?: string | undefined
}

/** What a release would leave behind. INVALID_INPUT, SERVER_RIGHTS when it cannot be done; nothing is changed. */
export async function planRelease(
  context: Context,
  slug: string,
  wish: ReleaseWish
): Promise<{ slug: string; database: string; name: string; to: string | null }> {
  const tenant = inState(await mustFind(context.catalog, slug), 'released', ['active', 'suspended'])
  const databaseId = databaseIdOfTenant(tenant)
  const { engine, access, database } = await gather(context, databaseId)
  const adoption = await adoptionOf(context.catalog, databaseId)
  const name = wish.name ?? adoption?.originalName ?? database.name
  // Where a database can be renamed in place, it has an owner too.
  const renames = engine.adoptedNames(databaseId, '').database !== ''
  if (!renames && name !== database.name) {
    throw new SaasctlError('INVALID_INPUT', `Database ${database.name} cannot be renamed on this server.`, {
      hint: 'Leave --name away.'
    })
  }
  const role = wish.to ?? adoption?.before.owner ?? null
  const lacking = await engine.checkHeir(access, { database: database.name, name, to: role })
  if (lacking.length > 0) {
    throw new SaasctlError('SERVER_RIGHTS', lacking.map(({ message }) => message).join(' '), {
      hint: lacking.map(({ fix }) => fix).join(' '),
      data: { lacking }
    })
  }
  return { slug: tenant.slug, database: database.name, name, to: renames ? role : null }
}

/** Takes all that is ours out of the tenant's database, gives it to a role, and forgets the tenant. Its data stays there. */
export async function releaseTenant(context: Context, slug: string, wish: ReleaseWish & Wait): Promise<TenantOutcome> {
  const { name, to } = await planRelease(context, slug, wish)
  return changeTenant(context, wish, async (tx, claim) => {
    const tenant = await lockForChange(tx, slug, 'released', ['active', 'suspended'])
    await refuseHeld(tx, tenant)
    await setTenantStatus(tx, tenant.id, 'purging')
    tx.audit(tenantEvent(tenant.id, 'tenant.give-away', { before: tenant.status, name, to, reason: wish.reason }))
    return startOnTenant(tx, context, tenantRelease, tenant, claim, { name, to })
  })
}
