import { tenantEvent } from '../catalog/audit.js'
import type { Transaction } from '../catalog/catalog.js'
import { setDatabaseState, setSchema } from '../catalog/databases.js'
import { violates } from '../catalog/errors.js'
import { forgetLogins, loginsOf } from '../catalog/logins.js'
import {
  outrun,
  placeAgain,
  reviveDatabase,
  reviveTenant,
  templateVersion,
  tenantOfDatabase
} from '../catalog/recoveries.js'
import { lockTenant, markDeleted, setTenantStatus, type TenantStatus } from '../catalog/tenants.js'
import { promiseLogins } from '../databases/logins.js'
import { standing } from '../databases/plan-migrations.js'
import { DatabaseWork, gather } from '../databases/work.js'
import { closedRoles } from '../doctor/mend.js'
import { loginRoles } from '../engines/engine.js'
import { SaasctlError } from '../errors.js'
import { parseSlug } from '../names.js'
import type { Context, Kind } from '../operations/kind.js'
import { startOperation } from '../operations/start.js'
import { currentPlan, currentTemplate, profileOf, readTemplate } from '../templates/register.js'
import { mustFind } from '../tenants/find.js'
import { slugTaken } from '../tenants/slugs.js'
import type { TenantInput, TenantOutcome, Wait } from '../tenants/work.js'
import type { FoundDatabase } from './discover.js'

interface RecoverInput extends TenantInput {
  /** What the tenant was when it was last written down. */
  status: 'active' | 'suspended' | 'deleted'
  since: string
  revision: number
  template: string
  /** Whether the catalog has the tenant in another database: then that stays until this one was looked at. */
  moves: boolean
}

class RecoverWork extends DatabaseWork {
  seen: Parameters<typeof setSchema>[2] | undefined

  get input(): RecoverInput {
    return this.operation.input as RecoverInput
  }
}

/**
 * Takes a database that is there back as its tenant's. Its passwords are lost with the catalog: new ones are sealed first and
 * then set. Nothing in it is changed, and nothing is dropped whatever happens.
 */
export const tenantRecover: Kind<RecoverInput, RecoverWork> = {
  name: 'tenant.recover',
  inputVersion: 1,
  exclusion: 'exclusive',
  open: async (tools, operation) => new RecoverWork(operation, await gather(tools, operation.input.databaseId)),
  steps: [
    {
      name: 'set passwords',
      act: async ({ session, names, logins, database }) =>
        session.makeLogins({ names, passwords: await logins.passwords(), limits: database.limits }),
      // Nobody else can have these passwords: what is not taken back is closed, and stays.
      undo: ({ session, names }) => session.closeLogins(names, [...loginRoles])
    },
    {
      name: 'look and let in',
      act: async work => {
        const { session, names, input, database } = work
        const closed = closedRoles(input.status)
        // It may be closed by an earlier try of this same step.
        await session.openLogins(names, ['owner'])
        await look(work)
        await session.setLimits(names, database.limits)
        await session.closeLogins(names, closed)
        await session.openLogins(
          names,
          loginRoles.filter(role => !closed.includes(role))
        )
      },
      commit: async (tx, { input, seen, database, server, tools }) => {
        const { tenantId, databaseId, since, status, revision } = input
        if (seen) await setSchema(tx, databaseId, seen)
        await placeAgain(tx, tenantId, databaseId, since)
        if (status === 'deleted') await markDeleted(tx, tenantId, tools.grace.deleteSeconds, true)
        else await setTenantStatus(tx, tenantId, status)
        await outrun(tx, tenantId, revision)
        tx.audit(tenantEvent(tenantId, 'tenant.recovered', { database: database.name, server: server.name, status }))
      }
    }
  ],
  failed: async (tx, { input, error }) => {
    await setDatabaseState(tx, input.databaseId, 'retired')
    if (!input.moves) await setTenantStatus(tx, input.tenantId, 'failed')
    tx.audit(tenantEvent(input.tenantId, 'tenant.recover.failed', { code: error?.code }))
  }
}

/** As its owner: the proof that it is the right database, and what the catalog is to know of it. */
async function look(work: RecoverWork): Promise<void> {
  const { engine, access, names, logins, database, input, tools } = work
  const owner = await logins.credentials('owner')
  await engine.identify(access, names.database, owner, database.id)
  const [{ fingerprint, applied }, { bytes }, template] = await Promise.all([
    engine.describe(access, names.database, owner),
    engine.state(access, names),
    readTemplate(tools.folders.templates, input.template)
  ])
  work.seen = { ...standing(applied, template.migrations[engine.name] ?? []), fingerprint, bytes }
}

/** Promises the return of one tenant to the database that was found; see `tenantRecover`. */
export async function recoverTenant(
  context: Context,
  { server, bound }: FoundDatabase,
  { moves }: { moves: boolean },
  wait: Wait
): Promise<TenantOutcome> {
  const { id: tenantId, templateVersion: version, ...tenant } = bound.tenant
  const { id: databaseId, name } = bound.database
  const slug = parseSlug(tenant.slug)
  const [plan, engine] = await Promise.all([currentPlan(context, tenant.plan), context.engine(server.engine)])
  const templateId =
    (await templateVersion(context.catalog, tenant.template, version)) ??
    (await currentTemplate(context, tenant.template)).id
  const names = { ...engine.names(databaseId), database: name }
  const claim = await context.operations.claim(wait.wait)
  const write = async (tx: Transaction) => {
    const other = await tenantOfDatabase(tx, databaseId)
    if (other !== undefined) throw taken(slug, name)
    if (!moves) await reviveTenant(tx, { ...tenant, id: tenantId, slug, status: 'creating' })
    await lockTenant(tx, tenantId)
    const { limits } = plan.definition
    const row = { id: databaseId, serverId: server.id, name, kind: 'tenant', templateId, limits } as const
    await reviveDatabase(tx, { ...row, profile: profileOf(plan) })
    if ((await loginsOf(tx, databaseId)).length < loginRoles.length) {
      await forgetLogins(tx, databaseId)
      await promiseLogins(tx, context.keys, databaseId, names)
    }
    tx.audit(tenantEvent(tenantId, 'tenant.recover', { slug, database: name, server: server.name, moves }))
    const status = statusOf(tenant.status)
    const { revision } = tenant
    const input = { tenantId, databaseId, slug, status, revision, since: bound.since, template: tenant.template, moves }
    const { actor } = context
    return startOperation(tx, { kind: tenantRecover, input, subject: `tenant:${tenantId}`, tenantId, actor, claim })
  }
  const started = await context.catalog.transaction(context.actor, write).catch((error: unknown) => {
    throw violates(error, 'tenant_slug') ? slugTaken(slug) : error
  })
  const operation = wait.wait ? await context.operations.follow(started, wait) : started
  return { tenant: await mustFind(context.catalog, tenantId), operation }
}

/** What was on its way somewhere when it was written down: a new tenant lives, and one that was to go can still be kept. */
export function statusOf(status: TenantStatus): 'active' | 'suspended' | 'deleted' {
  if (status === 'suspended') return status
  return status === 'deleted' || status === 'purging' ? 'deleted' : 'active'
}

function taken(slug: string, database: string): SaasctlError {
  return new SaasctlError(
    'TENANT_BUSY',
    `Database ${database} has a tenant in the catalog already, ${slug} cannot have it.`,
    {
      hint: 'Look whose it is with "saasctl doctor".'
    }
  )
}
