import { tenantEvent } from '../catalog/audit.js'
import { listPlans } from '../catalog/plans.js'
import { lockTenant } from '../catalog/tenants.js'
import { asSaasctlError, SaasctlError } from '../errors.js'
import type { Context } from '../operations/kind.js'
import { startOperation } from '../operations/start.js'
import type { Plan } from '../templates/plan-files.js'
import { type KeptPlan, profileOf } from '../templates/register.js'
import { type Diagnosis, type Mend, mendable, warning, wrong } from './finding.js'
import { changed, failCreation, work } from './mend.js'
import {
  databasesWithoutPasswords,
  homelessTenants,
  type OtherLimits,
  type Stuck,
  stuckTenants,
  tenantsWithOtherLimits
} from './queries/tenants.js'

/** Tenants whose rows in the catalog do not fit together; no server is asked. */
export async function checkTenants({ catalog }: Context): Promise<Diagnosis[]> {
  const plans = await listPlans<Plan>(catalog)
  const profiles = new Map(plans.map(plan => [plan.name, profileOf(plan)]))
  const [stuck, homeless, locked, limits] = await Promise.all([
    stuckTenants(catalog),
    homelessTenants(catalog),
    databasesWithoutPasswords(catalog),
    tenantsWithOtherLimits(catalog, profiles)
  ])
  return [
    ...stuck.map(onItsWay),
    ...homeless.map(({ slug, state }) => {
      const what = state === null ? 'no database' : `a database that is ${state}`
      return wrong('tenant.homeless', `tenant:${slug}`, `Tenant ${slug} has ${what}.`, 'Restore it from a backup.')
    }),
    ...locked.map(({ name, slug }) => {
      const subject = slug === null ? `database:${name}` : `tenant:${slug}`
      const message = `The catalog does not hold all of the sealed passwords of database ${name}.`
      return wrong('login.unsealed', subject, message, 'Restore the catalog from a backup.')
    }),
    ...plans.flatMap(plan => otherLimits(plan, limits))
  ]
}

function onItsWay({ id, slug, status, placed, fromBefore }: Stuck): Diagnosis {
  const subject = `tenant:${slug}`
  if (status === 'purging') {
    const message = `Tenant ${slug} was to be purged, but nothing is purging it.`
    return wrong('tenant.stuck', subject, message, `saasctl tenant delete ${slug} --now`)
  }
  const stuck = wrong('tenant.stuck', subject, `Tenant ${slug} is being created, but nothing is creating it.`)
  return placed || fromBefore ? stuck : mendable(stuck, failCreation(id))
}

/** One line for a plan, however many tenants have it: changing a plan's file is what makes it. */
function otherLimits(plan: KeptPlan, limits: OtherLimits[]): Diagnosis[] {
  const tenants = limits.filter(tenant => tenant.plan === plan.name)
  const [first] = tenants
  if (!first) return []
  const who = tenants.length === 1 ? `Tenant ${first.slug} has` : `${tenants.length} tenants, ${first.slug} first, have`
  const message = `${who} other limits on the server than plan ${plan.name} says.`
  return [mendable(warning('plan.limits', `plan:${plan.name}`, message), bringLimits(plan, tenants))]
}

function bringLimits(plan: KeptPlan, tenants: OtherLimits[]): Mend {
  return async (context, follow) => {
    const kind = await context.operations.settings.kinds.load('tenant.limits')
    const failed: string[] = []
    for (const { tenantId, databaseId, slug } of tenants) {
      const wish = { limits: { ...plan.definition.limits }, profile: profileOf(plan), before: null }
      await work(context, follow, async (tx, claim) => {
        if ((await lockTenant(tx, tenantId))?.plan !== plan.name) throw changed()
        tx.audit(tenantEvent(tenantId, 'tenant.limits', { plan: plan.name, limits: wish.limits }))
        const input = { tenantId, databaseId, slug, ...wish }
        return startOperation(tx, { kind, input, subject: `tenant:${tenantId}`, tenantId, actor: context.actor, claim })
      }).catch(error => failed.push(`${slug} (${asSaasctlError(error).message})`))
    }
    if (failed.length > 0)
      throw new SaasctlError('SOME_FAILED', `Not brought to the plan’s limits: ${failed.join(', ')}.`)
  }
}
