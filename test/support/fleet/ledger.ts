import { isOver } from '../../../src/catalog/operations.js'
import { type Fleet, type FleetDatabase, type FleetOperation, type FleetTenant, isLive } from './read.js'

/** What the catalog must say of itself when nothing is at work. */
export function auditLedger(fleet: Fleet): string[] {
  return [
    ...fleet.operations.flatMap(operation => operationFindings(operation)),
    ...fleet.tenants.flatMap(tenant => tenantFindings(tenant)),
    ...fleet.databases.flatMap(database => databaseFindings(database)),
    ...fleet.servers.flatMap(({ id, name, databases }) => {
      const live = fleet.databases.filter(database => database.serverId === id && isLive(database)).length
      return live === databases ? [] : [`Server ${name} counts ${databases} databases and has ${live}.`]
    }),
    ...fingerprints(fleet.databases)
  ]
}

function operationFindings({ id, kind, status, owner, leased, finished, steps, hasError }: FleetOperation): string[] {
  const what = `Operation ${id} (${kind})`
  if (!isOver(status)) return [`${what} is still ${status}, its steps ${steps.join(', ')}.`]
  const findings: string[] = []
  if (owner !== null || leased || !finished) findings.push(`${what} is ${status} and still somebody's.`)
  const allowed = status === 'succeeded' ? ['done'] : ['pending', 'undone']
  if (!steps.every(step => allowed.includes(step)))
    findings.push(`${what} is ${status} with steps ${steps.join(', ')}.`)
  if (hasError !== (status !== 'succeeded')) findings.push(`${what} is ${status}, error: ${hasError}.`)
  return findings
}

const placedStatuses = ['active', 'suspended', 'deleted']

function tenantFindings({ slug, status, databaseId }: FleetTenant): string[] {
  if (status === 'creating' || status === 'purging') return [`Tenant ${slug} is ${status} and nothing works on it.`]
  const shall = placedStatuses.includes(status)
  if (shall === (databaseId !== null)) return []
  return [`Tenant ${slug} is ${status} and has ${databaseId ? 'still a' : 'no'} database.`]
}

function databaseFindings({ name, kind, state, tenant, logins, keys, limits }: FleetDatabase): string[] {
  const findings: string[] = []
  const say = (sentence: string) => findings.push(`Database ${name} (${kind}, ${state}) ${sentence}`)
  if (state === 'building' || state === 'dropping') say('is worked on by nothing.')
  if (isLive({ state } as FleetDatabase) ? logins !== 4 || keys !== 2 : logins + keys > 0)
    say(`has ${logins} logins and ${keys} keys in the catalog.`)
  if ((state === 'placed') !== (tenant !== undefined)) say(`has ${tenant ? 'a' : 'no'} tenant.`)
  if (tenant && sorted(limits) !== sorted(tenant.planLimits)) say(`does not have the limits of its tenant's plan.`)
  return findings
}

/** Two databases of one template that stand at the same migration are the same. */
function fingerprints(databases: FleetDatabase[]): string[] {
  const seen = new Map<string, string>()
  return databases
    .filter(({ state }) => state === 'placed' || state === 'ready')
    .flatMap(database => {
      const { name, template, migration, fingerprint } = database
      if (fingerprint === null) return [`Database ${name} has no fingerprint.`]
      const key = `${database.serverId} ${template} ${migration}`
      const first = seen.get(key) ?? fingerprint
      seen.set(key, first)
      return first === fingerprint ? [] : [`Database ${name} differs from others at ${migration}.`]
    })
}

const sorted = (value: object) => JSON.stringify(Object.entries(value).sort())
