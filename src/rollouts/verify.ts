import { tenantEvent } from '../catalog/audit.js'
import { type FleetTenant, type Seen, setSeen, tenantsOfTemplate } from '../catalog/fleet.js'
import { ownersOf } from '../catalog/logins.js'
import { serverById } from '../catalog/servers.js'
import { serverAccess } from '../databases/access.js'
import { Logins } from '../databases/logins.js'
import { standing } from '../databases/plan-migrations.js'
import type { Engine, EngineName, ServerAccess } from '../engines/engine.js'
import { asSaasctlError, type ErrorRecord, SaasctlError } from '../errors.js'
import type { Context } from '../operations/kind.js'
import type { RolloutWish } from './plan.js'
import type { Schemas } from './schema.js'

/** What was found when every target was looked at. */
export interface Verified {
  looked: number
  /** Whose ledger says something else than the catalog did, which has learned it. */
  learned: Array<{ slug: string; before: string | null; after: string | null }>
  /** Whose schema is not what it was when its migrations were applied: somebody changed it by hand. */
  drifted: string[]
  /** Who could not be looked at; the catalog says of them what it said. */
  failed: Array<{ slug: string; error: ErrorRecord }>
}

/** So many logins are opened, and so many answers written down, at once. */
const PAGE = 500

/** Logs in to every selected tenant and reads what is applied and what its schema is, instead of believing the catalog. */
export async function verifyFleet(
  context: Context,
  { template, selector, settings }: Pick<RolloutWish, 'template' | 'selector' | 'settings'>,
  schemas: Schemas
): Promise<Verified> {
  const { default: PQueue } = await import('p-queue')
  const queue = new PQueue({ concurrency: settings.total })
  const tenants = await tenantsOfTemplate(context.catalog, template, selector)
  const servers = new Servers(context)
  const standings = new Standings(schemas)
  const verified: Verified = { looked: 0, learned: [], drifted: [], failed: [] }
  for (let at = 0; at < tenants.length; at += PAGE) {
    const page = tenants.slice(at, at + PAGE)
    const sealed = await ownersOf(
      context.catalog,
      page.map(({ databaseId }) => databaseId)
    )
    const seen: Array<{ tenant: FleetTenant; seen: Seen }> = []
    await queue.addAll(
      page.map(tenant => async () => {
        try {
          const logins = new Logins(context.keys, sealed.get(tenant.databaseId) ?? [])
          seen.push({ tenant, seen: await lookInto(servers, tenant, logins, standings) })
        } catch (error) {
          verified.failed.push({ slug: tenant.slug, error: asSaasctlError(error).toJSON() })
        }
      })
    )
    verified.looked += seen.length
    await learn(context, seen, verified)
  }
  return verified
}

async function lookInto(servers: Servers, tenant: FleetTenant, logins: Logins, standings: Standings): Promise<Seen> {
  const { engine, access } = await servers.of(tenant.serverId)
  const { applied, stamp, fingerprint } = await engine.look(
    access,
    tenant.database,
    await logins.credentials('owner'),
    tenant.schemaStamp
  )
  return {
    databaseId: tenant.databaseId,
    checksumBefore: tenant.migrationsChecksum,
    ...standings.of(tenant.engine, applied),
    fingerprint: fingerprint ?? tenant.fingerprint,
    stamp
  }
}

/** Writes down what is new, and of whose ledger moved an event. What a migration has moved since is the migration's to say. */
async function learn(
  { catalog, actor }: Context,
  looked: Array<{ tenant: FleetTenant; seen: Seen }>,
  verified: Verified
): Promise<void> {
  const fresh = looked.filter(
    ({ tenant, seen }) =>
      seen.migrationsChecksum !== tenant.migrationsChecksum ||
      seen.fingerprint !== tenant.fingerprint ||
      seen.stamp !== tenant.schemaStamp
  )
  if (fresh.length === 0) return
  await catalog.transaction(actor, async tx => {
    const written = await setSeen(
      tx,
      fresh.map(({ seen }) => seen)
    )
    for (const { tenant, seen } of fresh.filter(({ seen }) => written.has(seen.databaseId))) {
      const [before, after] = [tenant.migration, seen.migration]
      const moved = seen.migrationsChecksum !== tenant.migrationsChecksum
      const drifted = !moved && tenant.fingerprint !== null && seen.fingerprint !== tenant.fingerprint
      if (moved) verified.learned.push({ slug: tenant.slug, before, after })
      if (drifted) verified.drifted.push(tenant.slug)
      if (moved || drifted) tx.audit(tenantEvent(tenant.tenantId, 'tenant.verify', { before, after, drifted }))
    }
  })
}

/** Where a ledger stands, worked out once for all tenants that have the same. */
class Standings {
  readonly #schemas: Schemas
  readonly #known = new Map<string, ReturnType<typeof standing>>()

  constructor(schemas: Schemas) {
    this.#schemas = schemas
  }

  of(engine: EngineName, applied: string[]): ReturnType<typeof standing> {
    const key = JSON.stringify([engine, applied])
    const known = this.#known.get(key)
    if (known) return known
    const files = this.#schemas.get(engine)?.files ?? []
    const found = standing(
      applied.map(name => ({ name })),
      files
    )
    this.#known.set(key, found)
    return found
  }
}

/** Each server's way in is opened once. */
class Servers {
  readonly #context: Context
  readonly #known = new Map<string, Promise<{ engine: Engine; access: ServerAccess }>>()

  constructor(context: Context) {
    this.#context = context
  }

  of(serverId: string): Promise<{ engine: Engine; access: ServerAccess }> {
    const known = this.#known.get(serverId) ?? this.#open(serverId)
    this.#known.set(serverId, known)
    return known
  }

  async #open(serverId: string): Promise<{ engine: Engine; access: ServerAccess }> {
    const server = await serverById(this.#context.catalog, serverId)
    if (!server) throw new SaasctlError('SERVER_NOT_FOUND', `The catalog has no server ${serverId}.`)
    return {
      engine: await this.#context.engine(server.engine),
      access: await serverAccess(this.#context.keys, server)
    }
  }
}
