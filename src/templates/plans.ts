import { listPlans as keptPlans, planByName } from '../catalog/plans.js'
import { SaasctlError } from '../errors.js'
import { quoteInput } from '../names.js'
import type { Context } from '../operations/kind.js'
import { loadPlans, type Plan } from './plan-files.js'
import { applyPlan, profileOf } from './register.js'

export interface PlanLine extends Plan {
  /** Counts the contents this plan has had; null when only the file knows it yet. */
  revision: number | null
  /** The file says something else than the catalog: "plan apply" would change it. */
  changed: boolean
}

/** Every plan of the file and of the catalog. */
export async function listPlans(context: Context): Promise<PlanLine[]> {
  const [files, kept] = await Promise.all([loadPlans(context.folders.templates), keptPlans<Plan>(context.catalog)])
  const byName = new Map(kept.map(row => [row.name, row]))
  const lines = files.map(plan => {
    const row = byName.get(plan.name)
    byName.delete(plan.name)
    return {
      ...(row?.definition ?? plan),
      revision: row?.revision ?? null,
      changed: row?.checksum !== plan.checksum
    }
  })
  const left = [...byName.values()].map(row => ({
    ...row.definition,
    revision: row.revision,
    changed: false
  }))
  return [...lines, ...left]
}

export async function showPlan(context: Context, name: string): Promise<PlanLine> {
  const lines = await listPlans(context)
  const found = lines.find(line => line.name === name)
  if (found) return found
  throw new SaasctlError('PLAN_NOT_FOUND', `There is no plan named ${quoteInput(name)}.`, {
    hint: `The plans are: ${lines.map(line => line.name).join(', ')}.`
  })
}

export interface AppliedPlan {
  name: string
  changed: boolean
  /** Tenants whose server limits differ from the plan's now: "tenant update --plan" or the next doctor brings them. */
  limitsChanged: boolean
}

/** Takes what plans.json says into the catalog. Routers see it at once; changed server limits are for the caller to bring to the tenants. */
export async function applyPlans(context: Context): Promise<AppliedPlan[]> {
  const plans = await loadPlans(context.folders.templates)
  return context.catalog.transaction(context.actor, async tx => {
    const applied: AppliedPlan[] = []
    for (const plan of plans) {
      const before = await planByName<Plan>(tx, plan.name)
      const changed = await applyPlan(tx, plan)
      const limitsChanged = before !== undefined && profileOf(before) !== profileOf({ definition: plan })
      applied.push({ name: plan.name, changed, limitsChanged })
    }
    return applied
  })
}
