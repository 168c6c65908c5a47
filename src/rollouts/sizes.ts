import { setSizes } from '../catalog/databases.js'
import type { FleetTenant } from '../catalog/fleet.js'
import { serverById } from '../catalog/servers.js'
import { serverAccess } from '../databases/access.js'
import { Logins } from '../databases/logins.js'
import type { EngineName } from '../engines/engine.js'
import type { Context } from '../operations/kind.js'
import type { RolloutFinding } from './findings.js'

export interface Largest {
  engine: EngineName
  slug: string
  bytes: number
}

/** Asks each server once how large its databases are, and writes it down. One that does not answer keeps what is known. */
export async function measure(context: Context, tenants: FleetTenant[]): Promise<void> {
  for (const serverId of new Set(tenants.map(tenant => tenant.serverId))) {
    const server = await serverById(context.catalog, serverId)
    if (!server) continue
    const mine = new Map(tenants.filter(tenant => tenant.serverId === serverId).map(one => [one.database, one]))
    try {
      const [engine, access] = await Promise.all([context.engine(server.engine), serverAccess(context.keys, server)])
      const { databases } = await engine.inventory(access)
      const sizes: Array<{ id: string; bytes: number }> = []
      for (const { name, bytes } of databases) {
        const tenant = mine.get(name)
        if (!tenant || bytes <= 0) continue
        tenant.bytes = bytes
        sizes.push({ id: tenant.databaseId, bytes })
      }
      await setSizes(context.catalog, sizes)
    } catch {
      // A plan is good without sizes; the rollout itself will say what is wrong with the server.
    }
  }
}

/** The largest database of each engine. */
export function largestOf(tenants: FleetTenant[]): Largest[] {
  return largest(tenants).map(({ engine, slug, bytes }) => ({ engine, slug, bytes: bytes ?? 0 }))
}

function largest(tenants: FleetTenant[]): FleetTenant[] {
  const found = new Map<EngineName, FleetTenant>()
  for (const tenant of tenants) {
    if (tenant.bytes !== null && tenant.bytes > (found.get(tenant.engine)?.bytes ?? -1))
      found.set(tenant.engine, tenant)
  }
  return [...found.values()]
}

/**
 * Says of each finding whom its statement would hit hardest: the table's size in the biggest tenant, read as its read-only
 * login. Where the tenant cannot be asked (it is suspended, or its server is away) the database's size stands for it.
 */
export async function nameTheHit(
  context: Context,
  tenants: FleetTenant[],
  findings: RolloutFinding[]
): Promise<RolloutFinding[]> {
  const hit: RolloutFinding[] = []
  for (const tenant of largest(tenants)) {
    const mine = findings.filter(({ engine }) => engine === tenant.engine)
    const tables = [...new Set(mine.flatMap(({ table }) => table ?? []))]
    const sizes = tables.length > 0 ? await tableSizes(context, tenant, tables) : new Map<string, number>()
    for (const finding of mine) {
      const bytes = finding.table === undefined ? undefined : sizes.get(finding.table)
      const hits = { slug: tenant.slug, bytes: bytes ?? tenant.bytes ?? 0, table: bytes !== undefined }
      hit.push({ ...finding, hits })
    }
  }
  const named = new Set(hit.map(({ engine }) => engine))
  return [...hit, ...findings.filter(({ engine }) => !named.has(engine))]
}

async function tableSizes(context: Context, tenant: FleetTenant, tables: string[]): Promise<Map<string, number>> {
  const server = await serverById(context.catalog, tenant.serverId)
  if (!server) return new Map()
  try {
    const [engine, access] = await Promise.all([context.engine(server.engine), serverAccess(context.keys, server)])
    const logins = await Logins.of(context.catalog, context.keys, tenant.databaseId)
    return await engine.tableSizes(access, tenant.database, await logins.credentials('readonly'), tables)
  } catch {
    return new Map()
  }
}
