import type { Command } from 'commander'
import type { PlacedTenant, Selector, TenantStatus } from '../src/catalog/tenants.js'
import { tenantStatuses } from '../src/catalog/tenants.js'
import { SaasctlError } from '../src/errors.js'
import { quoteInput } from '../src/names.js'
import type { Saasctl } from '../src/saasctl.js'
import { collectNames, collectNewLabels, notEmpty, parsed } from './flags.js'

/** How several tenants are named. Every part that is given must fit. */
export interface SelectorFlags {
  selector?: Record<string, string>
  server?: string
  region?: string
  plan?: string
  template?: string
  status?: TenantStatus[]
  all?: true
  except?: string[]
}

export function filterFlags(command: Command): Command {
  return command
    .option('-l, --selector <key=value>', 'tenants with this label, or plan=NAME; several with commas', collectSelector)
    .option('--server <name>', 'tenants on this server', notEmpty)
    .option('--region <name>', 'tenants of this region', notEmpty)
    .option('--status <status>', `tenants that are ${tenantStatuses.join(', ')}; several with commas`, collectStatuses)
}

/** For verbs on many tenants: `plan` is left out where the flag means the new plan. */
export function selectorFlags(command: Command, { plan = true } = {}): Command {
  filterFlags(command)
  if (plan) command.option('--plan <name>', 'tenants on this plan', notEmpty)
  return command.option('--all', 'every tenant').option('--except <slugs>', 'but not these', collectNames)
}

function collectSelector(text: string, before: Record<string, string> = {}): Record<string, string> {
  const wanted = collectNewLabels(text, before)
  if (wanted['plan'] !== undefined) notEmpty(wanted['plan'])
  return wanted
}

function collectStatuses(text: string, before: TenantStatus[] = []): TenantStatus[] {
  const names = collectNames(text) as TenantStatus[]
  const unknown = names.find(name => !tenantStatuses.includes(name))
  if (unknown !== undefined)
    parsed(() => {
      throw new Error(`must be one of ${tenantStatuses.join(', ')}`)
    })
  return [...before, ...names]
}

export function selectorOf({ selector: wanted, server, region, plan, template, status }: SelectorFlags): Selector {
  const { plan: selectedPlan, ...labels } = wanted ?? {}
  const chosenPlan = selectedPlan ?? plan
  return {
    ...(chosenPlan !== undefined && { plan: chosenPlan }),
    ...(server !== undefined && { server }),
    ...(region !== undefined && { region }),
    ...(template !== undefined && { template }),
    ...(status && { statuses: status }),
    ...(Object.keys(labels).length > 0 && { labels })
  }
}

/**
 * The slugs that a command is for: those given, or those that the selector finds among `statuses`. USAGE when there is
 * neither, or both: a forgotten argument must not mean every tenant.
 */
export async function chosenSlugs(
  saasctl: Saasctl,
  slugs: string[],
  flags: SelectorFlags,
  statuses: TenantStatus[]
): Promise<string[]> {
  const selector = selectorOf(flags)
  const selects = flags.all === true || Object.keys(selector).length > 0
  if (slugs.length > 0 && selects) {
    throw new SaasctlError('USAGE', 'Both slugs and a selector were given.', {
      hint: 'Name the tenants, or select them; not both.'
    })
  }
  if (slugs.length === 0 && !selects) {
    throw new SaasctlError('USAGE', 'No tenant was named.', {
      hint: 'Give a slug, a selector such as -l plan=pro, or --all.'
    })
  }
  await checkNames(saasctl, selector)
  const except = new Set(flags.except ?? [])
  if (slugs.length > 0) return [...new Set(slugs)].filter(slug => !except.has(slug))
  const found: string[] = []
  for await (const page of tenantPages(saasctl, { statuses, ...selector }, {}))
    found.push(...page.map(tenant => tenant.slug))
  checkExcept(except, found)
  return found.filter(slug => !except.has(slug))
}

/** PLAN_NOT_FOUND, SERVER_NOT_FOUND, TENANT_NOT_FOUND for what is named and is not there. */
export async function checkNames({ catalog, folders }: Saasctl, selector: Selector): Promise<void> {
  const { checkSelector } = await import('../src/catalog/selectable.js')
  await checkSelector(catalog, selector, async () => {
    const { loadPlans } = await import('../src/templates/files.js')
    return (await loadPlans(folders.templates)).map(({ name }) => name)
  })
}

/** A misspelt exception would let the command reach the very tenant that it was to spare. */
function checkExcept(except: Set<string>, found: string[]): void {
  const stranger = [...except].find(slug => !found.includes(slug))
  if (stranger === undefined) return
  throw new SaasctlError('USAGE', `--except names ${quoteInput(stranger)}, which is not among the tenants selected.`, {
    hint: 'See them with "saasctl tenant list" and the same selector.'
  })
}

/** Page after page in the order of slugs, up to `limit` tenants; each page is read when it is asked for. */
export async function* tenantPages(
  { catalog }: Saasctl,
  selector: Selector,
  { after, limit = Number.POSITIVE_INFINITY }: { after?: string | undefined; limit?: number }
): AsyncGenerator<PlacedTenant[]> {
  const { listTenants } = await import('../src/catalog/tenants.js')
  let last = after
  for (let left = limit; left > 0; ) {
    const size = Math.min(left, 1000)
    const page = await listTenants(catalog, selector, { ...(last !== undefined && { after: last }), limit: size })
    if (page.length > 0) yield page
    if (page.length < size) return
    left -= page.length
    last = page.at(-1)?.slug
  }
}

/**
 * The tenants that a command which changes nothing is for: those named, or those that the selector finds; without either,
 * all. Page after page. TENANT_NOT_FOUND names a slug that nobody has.
 */
export async function selectedPages(
  saasctl: Saasctl,
  slugs: string[],
  flags: SelectorFlags
): Promise<AsyncIterable<PlacedTenant[]>> {
  const statuses: TenantStatus[] = ['active', 'suspended']
  if (slugs.length === 0) {
    const selector = { statuses, ...selectorOf(flags), ...(flags.except && { except: flags.except }) }
    await checkNames(saasctl, selector)
    return tenantPages(saasctl, selector, {})
  }
  const chosen = await chosenSlugs(saasctl, slugs, flags, statuses)
  const { mustFind, inState } = await import('../src/tenants/find.js')
  const tenants = await Promise.all(
    chosen.map(async slug => inState(await mustFind(saasctl.catalog, slug), 'looked at', statuses))
  )
  return (async function* () {
    yield tenants
  })()
}
