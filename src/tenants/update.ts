import type { Json } from '../canonical.js'
import { tenantEvent } from '../catalog/audit.js'
import type { Transaction } from '../catalog/catalog.js'
import { databaseById, setLimits } from '../catalog/databases.js'
import type { OperationRow } from '../catalog/operations.js'
import { type PlacedTenant, updateTenant as write } from '../catalog/tenants.js'
import type { DatabaseWork } from '../databases/work.js'
import type { DatabaseLimits } from '../engines/engine.js'
import { parseLabels } from '../names.js'
import type { Context, Kind } from '../operations/kind.js'
import { currentPlan, type KeptPlan, profileOf } from '../templates/register.js'
import { lockForChange, mustFind } from './find.js'
import { changeTenant, openTenantWork, startOnTenant, type TenantInput, type TenantOutcome, type Wait } from './work.js'

interface LimitsInput extends TenantInput {
  limits: DatabaseLimits & Record<string, Json>
  profile: string
  /** The plan to go back to when the server will not take the limits. */
  before: string | null
}

/** Puts a plan's limits on the server. */
export const tenantLimits: Kind<LimitsInput, DatabaseWork> = {
  name: 'tenant.limits',
  inputVersion: 1,
  exclusion: 'exclusive',
  open: openTenantWork,
  steps: [
    {
      name: 'set limits',
      act: ({ session, names, operation }) => session.setLimits(names, (operation.input as LimitsInput).limits),
      commit: async (tx, { operation, database }) => {
        const { limits, profile } = operation.input as LimitsInput
        await setLimits(tx, database.id, limits, profile)
      },
      undo: ({ session, names, database }) => session.setLimits(names, database.limits)
    }
  ],
  failed: async (tx, { input }) => {
    if (input.before === null) return
    await write(tx, input.tenantId, { plan: input.before })
    tx.audit(
      tenantEvent(input.tenantId, 'tenant.update', { plan: input.before, reason: 'the server did not take the limits' })
    )
  }
}

export interface TenantChange {
  plan?: string | undefined
  displayName?: string | undefined
  /** A label with the value null is taken away; the others are added or replaced. */
  labels?: Record<string, string | null> | undefined
}

/** Changes plan, display name or labels. A plan's limits are on the server when it returns; routers enforce its own at once. */
export async function updateTenant(
  context: Context,
  slug: string,
  change: TenantChange,
  wait: Wait
): Promise<TenantOutcome | { tenant: PlacedTenant; operation: null }> {
  const plan = change.plan === undefined ? undefined : await currentPlan(context, change.plan)
  const needsServer = plan !== undefined && (await hasOtherLimits(context, slug, plan))
  if (needsServer && plan) {
    return changeTenant(context, wait, async (tx, claim) => {
      const tenant = await lockForChange(tx, slug, 'updated', ['active', 'suspended'])
      await writeChange(tx, tenant, change)
      return startOnTenant(tx, context, tenantLimits, tenant, claim, limitsOf(plan, tenant.plan))
    })
  }
  const id = await context.catalog.transaction(context.actor, async tx => {
    const tenant = await lockForChange(tx, slug, 'updated', ['active', 'suspended'])
    await writeChange(tx, tenant, change)
    return tenant.id
  })
  return { tenant: await mustFind(context.catalog, id), operation: null }
}

/** A warm database made for another plan gets its new plan's limits, in an operation that is promised with the claim. */
export async function startLimits(
  tx: Transaction,
  context: Context,
  tenantId: string,
  plan: KeptPlan,
  claim: { owner: string; leaseMs: number } | null
): Promise<OperationRow> {
  return startOnTenant(tx, context, tenantLimits, await mustFind(tx, tenantId), claim, limitsOf(plan, null))
}

function limitsOf(plan: KeptPlan, before: string | null): Record<string, Json> {
  return { limits: { ...plan.definition.limits }, profile: profileOf(plan), before }
}

/** What counts is what the server has now: a plan that was changed in plans.json is brought to its tenants the same way. */
async function hasOtherLimits(context: Context, slug: string, plan: KeptPlan): Promise<boolean> {
  const { databaseId } = await mustFind(context.catalog, slug)
  const database = databaseId === null ? undefined : await databaseById(context.catalog, databaseId)
  return database !== undefined && database.profile !== profileOf(plan)
}

async function writeChange(tx: Transaction, tenant: PlacedTenant, change: TenantChange): Promise<void> {
  const labels = change.labels && mergeLabels(tenant.labels, parseLabels(change.labels))
  await write(tx, tenant.id, {
    ...(change.plan !== undefined && { plan: change.plan }),
    ...(change.displayName !== undefined && { displayName: change.displayName }),
    ...(labels && { labels })
  })
  const before = { plan: tenant.plan, displayName: tenant.displayName, labels: tenant.labels }
  tx.audit(
    tenantEvent(tenant.id, 'tenant.update', {
      before,
      after: { ...before, ...change, ...(labels && { labels }) } as Json
    })
  )
}

function mergeLabels(present: Record<string, string>, change: Record<string, string | null>): Record<string, string> {
  const merged = { ...present }
  for (const [key, value] of Object.entries(change)) {
    if (value === null) delete merged[key]
    else merged[key] = value
  }
  return merged
}
