import { SaasctlError } from '../errors.js'
import { quoteInput } from '../names.js'
import type { Queryable } from './catalog.js'
import { listPlans } from './plans.js'
import { listServers } from './servers.js'
import type { Selector } from './tenants.js'

/**
 * Refuses a selector that names what is not there: PLAN_NOT_FOUND, SERVER_NOT_FOUND, TENANT_NOT_FOUND. A misspelt name would
 * reach nobody and look like work that is done; a misspelt exception would reach the very tenant that it was to spare.
 * Labels and regions have no list to be misspelt against. A plan that only the file has, as `filed` says, is one that nobody
 * is on yet.
 */
export async function checkSelector(
  q: Queryable,
  { plan, server, slugs, except }: Selector,
  filed: () => Promise<string[]> = async () => []
): Promise<void> {
  if (plan !== undefined) {
    const plans = (await listPlans(q)).map(({ name }) => name)
    if (!plans.includes(plan)) plans.push(...(await filed()).filter(name => !plans.includes(name)))
    if (!plans.includes(plan)) throw unknown('PLAN_NOT_FOUND', 'plan', plan, plans)
  }
  if (server !== undefined) {
    const servers = (await listServers(q)).map(({ name }) => name)
    if (!servers.includes(server)) throw unknown('SERVER_NOT_FOUND', 'server', server, servers)
  }
  const stranger = await strangerAmong(q, [...(slugs ?? []), ...(except ?? [])])
  if (stranger === undefined) return
  throw new SaasctlError('TENANT_NOT_FOUND', `There is no tenant ${quoteInput(stranger)}.`, {
    hint: 'See who there is with "saasctl tenant list".'
  })
}

async function strangerAmong(q: Queryable, slugs: string[]): Promise<string | undefined> {
  if (slugs.length === 0) return undefined
  const found = await q.query<{ slug: string }>(
    `select slug from saasctl.tenant where slug = any($1) and status not in ('purged', 'failed')`,
    [slugs]
  )
  const known = new Set(found.map(({ slug }) => slug))
  return slugs.find(slug => !known.has(slug))
}

function unknown(code: 'PLAN_NOT_FOUND' | 'SERVER_NOT_FOUND', noun: string, name: string, names: string[]) {
  const hint = names.length === 0 ? 'It has none at all.' : `It has ${names.join(', ')}.`
  return new SaasctlError(code, `The catalog has no ${noun} ${quoteInput(name)}.`, { hint })
}
