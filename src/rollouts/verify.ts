import { tenantEvent } from '../catalog/audit.js'
import { type FleetTenant, type Seen, setSeen, tenantsOfTemplate } from '../catalog/fleet.js'
import { ownersOf } from '../catalog/logins.js'
import { serverById } from '../catalog/servers.js'
import { serverAccess } from '../databases/access.js'
import { Logins } from '../databases/logins.js'
import { standing } from '../databases/plan-migrations.js'
import type { Engine, EngineName, Look, ServerAccess } from '../engines/engine.js'
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

/**
 * Logs in to every selected tenant and reads what is applied and what its schema is, instead of believing the catalog. The
 * files may still be being read meanwhile.
 */
export async function verifyFleet(
  context: Context,
  { template, selector, settings }: Pick<RolloutWish, 'template' | 'selector' | 'settings'>,
  reading: Promise<Schemas>
): Promise<Verified> {
  // Waited for below: until then nobody would hear of files that cannot be read.
  reading.catch(() => {})
  const { default: PQueue } = await import('p-queue')
  const queue = new PQueue({ concurrency: settings.total })
  const tenants = await tenantsOfTemplate(context.catalog, template, selector)
  const servers = new Servers(context)
  let standings: Standings | undefined
  const verified: Verified = { looked: 0, learned: [], drifted: [], failed: [] }
  for (let at = 0; at < tenants.length; at += PAGE) {
    const page = tenants.slice(at, at + PAGE)
    const sealed = await ownersOf(
      context.catalog,
      page.map(({ databaseId }) => databaseId)
    )
    const looks: Array<{ tenant: FleetTenant; look: Look }> = []
    await queue.addAll(
      page.map(tenant => async () => {
        try {
          const logins = new Logins(context.keys, sealed.get(tenant.databaseId) ?? [])
          looks.push({ tenant, look: await lookInto(servers, tenant, logins) })
        } catch (error) {
          verified.failed.push({ slug: tenant.slug, error: asSaasctlError(error).toJSON() })
        }
      })
    )
    verified.looked += looks.length
    standings ??= new Standings(await reading)
    await learn(context, looks, standings, verified)
  }
  return verified
}

async function lookInto(servers: Servers, tenant: FleetTenant, logins: Logins): Promise<Look> {
  const { engine, access } = await servers.of(tenant.serverId)
  return engine.look(access, tenant.database, await logins.credentials('owner'), tenant.schemaStamp)
}

/** Writes down what is new, and of whose ledger moved an event. What a migration has moved since is the migration's to say. */
async function learn(
  { catalog, actor }: Context,
  looks: Array<{ tenant: FleetTenant; look: Look }>,
  standings: Standings,
  verified: Verified
): Promise<void> {
  const looked = looks.map(({ tenant, look: { applied, stamp, fingerprint } }) => {
    const seen: Seen = {
      databaseId: tenant.databaseId,
      checksumBefore: tenant.migrationsChecksum,
      ...standings.of(tenant.engine, applied),
      fingerprint: fingerprint ?? tenant.fingerprint,
      stamp
    }
    return { tenant, seen }
  })
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
