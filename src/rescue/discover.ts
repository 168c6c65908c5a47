import { type Instance, readInstance } from '../catalog/instance.js'
import { holdersOf, type KnownTenant, knownDatabaseStates, knownTenants, tenantsOn } from '../catalog/recoveries.js'
import { listServers, type ServerRow } from '../catalog/servers.js'
import { serverAccess } from '../databases/access.js'
import { type BoundTenant, openBinding } from '../databases/binding.js'
import { asSaasctlError } from '../errors.js'
import { databaseIdOf } from '../names.js'
import type { Context } from '../operations/kind.js'
import { type FoundBackup, unknownBackups } from './manifests.js'

/** A tenant's database that stands on a server, with whose it is. */
export interface FoundDatabase {
  server: ServerRow
  bound: BoundTenant
}

export interface StrangeDatabase {
  server: ServerRow
  id: string
  name: string
  /** `unknown` to this catalog; `unclaimed`, warm by this catalog, and perhaps a tenant's since; `foreign`, another control plane's. */
  how: 'unknown' | 'unclaimed' | 'foreign'
}

/** What the servers and stores know and this catalog does not. */
export interface Discovery {
  instance: Instance
  /** Tenants that the catalog has not, or has half made: their databases are there. */
  unknown: FoundDatabase[]
  /** Tenants that have another database by now. */
  moved: Array<FoundDatabase & { before: string }>
  /** Tenants that were renamed, changed or suspended since. */
  changed: Array<FoundDatabase & { known: KnownTenant }>
  /** Tenants of whose database and logins nothing is left: purged since, or lost. */
  gone: Array<{ server: ServerRow; known: KnownTenant }>
  /** What cannot be taken back by itself, each with the reason. */
  conflicts: Array<FoundDatabase & { why: string }>
  /** Databases with a name of ours of which nothing here proves whose they are. Nothing is done to them by itself. */
  strange: StrangeDatabase[]
  /** Servers and stores that did not answer: nothing is said of what is there. */
  unreachable: Array<{ where: string; message: string }>
  backups: FoundBackup[]
  /** Known tenants' databases beside which nothing is written. */
  unwritten: string[]
}

interface Seen {
  server: ServerRow
  bound: BoundTenant[]
  /** Databases with a name of ours, and whether any database or login of this id is there. */
  names: string[]
  ids: Set<string>
  /** Databases beside which another control plane has written. */
  foreign: Set<string>
}

/** Looks at every server and store, changes nothing. A server that cannot be reached is told, and no trouble for the rest. */
export async function discover(context: Context): Promise<Discovery> {
  const { catalog } = context
  const [servers, instance, { backups, silent }] = await Promise.all([
    listServers(catalog),
    readInstance(catalog),
    unknownBackups(context)
  ])
  const found: Discovery = {
    instance,
    backups,
    unknown: [],
    moved: [],
    changed: [],
    gone: [],
    conflicts: [],
    strange: [],
    unreachable: silent.map(({ store, message }) => ({ where: store, message })),
    unwritten: []
  }
  const seen: Seen[] = []
  for (const server of servers) {
    try {
      seen.push(await lookAt(context, server, backups))
    } catch (thrown) {
      found.unreachable.push({ where: server.name, message: asSaasctlError(thrown).message })
    }
  }
  const newest = newestOf(seen)
  const known = await knownTenants(catalog, [...newest.keys()])
  for (const database of newest.values()) sort(found, database, known.get(database.bound.tenant.id))
  for (const one of seen) await compare(context, found, one, newest)
  await refuseTaken(context, found)
  return found
}

async function lookAt({ engine: engines, keys }: Context, server: ServerRow, backups: FoundBackup[]): Promise<Seen> {
  const engine = await engines(server.engine)
  const access = await serverAccess(keys, server)
  const [bindings, { databases, logins }] = await Promise.all([engine.bindings(access), engine.inventory(access)])
  const bound: BoundTenant[] = []
  const foreign = new Set<string>()
  for (const { database, text } of bindings) {
    const opened = await openBinding(keys, text)
    if (!opened) foreign.add(database)
    // One that was written for another database proves nothing of this.
    if (opened?.database.name === database) bound.push(opened)
  }
  const names = databases.filter(({ state }) => state !== 'debris').map(({ name }) => name)
  const ids = [...databases, ...logins].flatMap(({ name }) => databaseIdOf(name.slice(0, 27)) ?? [])
  const told = new Set(bound.map(({ database }) => database.id))
  for (const name of names) {
    const id = databaseIdOf(name)
    if (id !== undefined && !told.has(id)) bound.push(...fromBackups(id, name, server, backups))
  }
  return { server, bound, names, ids: new Set(ids), foreign }
}

/** Nothing stands beside it, but a backup of it says whose it is. */
function fromBackups(id: string, name: string, server: ServerRow, backups: FoundBackup[]): BoundTenant[] {
  const of = backups.filter(({ manifest }) => manifest.database.id === id && manifest.database.server === server.name)
  const newest = of.sort((a, b) => (a.manifest.takenAt < b.manifest.takenAt ? 1 : -1))[0]?.manifest
  if (!newest) return []
  const tenant = { ...newest.tenant, status: 'active' as const, revision: 0 }
  return [{ v: 1, database: { id, name }, tenant, since: newest.takenAt, incarnation: '' }]
}

/** Of several databases of one tenant, the one that it had last. */
function newestOf(seen: Seen[]): Map<string, FoundDatabase> {
  const newest = new Map<string, FoundDatabase>()
  for (const { server, bound } of seen) {
    for (const one of bound) {
      const other = newest.get(one.tenant.id)
      if (!other || other.bound.since < one.since) newest.set(one.tenant.id, { server, bound: one })
    }
  }
  return newest
}

function sort(found: Discovery, database: FoundDatabase, known: KnownTenant | undefined): void {
  const { bound } = database
  if (known?.status === 'purged') {
    const why = 'the catalog says that the tenant was purged, and its database is still there'
    found.conflicts.push({ ...database, why })
  } else if (!known || known.databaseId === null || known.since === null) found.unknown.push(database)
  else if (known.databaseId !== bound.database.id) {
    if (known.since.toISOString() < bound.since) found.moved.push({ ...database, before: known.database ?? '' })
  } else if (isNewer(bound, known, found.instance) && differs(bound, known)) found.changed.push({ ...database, known })
}

/**
 * What stood on the server as the catalog had it can only have become newer since: revisions need not be asked, which a
 * change of its server's address counts up too. Else, an adoption counts every revision up by one: what another incarnation
 * wrote with the same number is a change later.
 */
function isNewer({ tenant, incarnation }: BoundTenant, known: KnownTenant, instance: Instance): boolean {
  if (incarnation === '') return false
  if (instance.restoredAt && !known.pending) return true
  return incarnation === instance.incarnation ? tenant.revision > known.revision : tenant.revision >= known.revision
}

function differs({ tenant }: BoundTenant, known: KnownTenant): boolean {
  return tenant.slug !== known.slug || tenant.plan !== known.plan || tenant.status !== known.status
}

/** What the catalog has on the server and the server has not, and the other way round. */
async function compare(
  context: Context,
  found: Discovery,
  { server, bound, names, ids, foreign }: Seen,
  newest: Map<string, FoundDatabase>
): Promise<void> {
  const engine = await context.engine(server.engine)
  const access = await serverAccess(context.keys, server)
  const written = new Set(bound.map(({ database }) => database.id))
  for (const known of await tenantsOn(context.catalog, server.id)) {
    const { databaseId, database } = known
    if (
      databaseId === null ||
      database === null ||
      !['active', 'suspended', 'deleted', 'purging'].includes(known.status)
    )
      continue
    const later = newest.get(known.id)
    const there = ids.has(databaseId) || written.has(databaseId)
    if (there && !written.has(databaseId)) found.unwritten.push(databaseId)
    if (there || (later && later.bound.database.id !== databaseId)) continue
    const state = await engine.state(access, { ...engine.names(databaseId), database })
    if (state.database === 'absent' && Object.values(state.logins).every(login => login === 'absent'))
      found.gone.push({ server, known })
  }
  const unbound = names.filter(name => !written.has(databaseIdOf(name) ?? ''))
  const states = await knownDatabaseStates(
    context.catalog,
    unbound.map(name => databaseIdOf(name) ?? '')
  )
  for (const name of unbound) {
    const id = databaseIdOf(name) ?? ''
    const state = states.get(id)
    if (state === undefined) found.strange.push({ server, id, name, how: foreign.has(name) ? 'foreign' : 'unknown' })
    else if (state === 'unclaimed') found.strange.push({ server, id, name, how: 'unclaimed' })
  }
}

/** A slug can be given to one tenant only; who changed theirs meanwhile has freed the one before. */
async function refuseTaken({ catalog }: Context, found: Discovery): Promise<void> {
  const wanting = [...found.changed, ...found.unknown]
  const holders = await holdersOf(
    catalog,
    wanting.map(({ bound }) => bound.tenant.slug)
  )
  const freed = new Set([
    ...found.changed.filter(({ bound, known }) => bound.tenant.slug !== known.slug).map(({ known }) => known.id),
    ...found.unknown.map(({ bound }) => bound.tenant.id)
  ])
  const given = new Set<string>()
  const fits = (database: FoundDatabase) => {
    const { id, slug } = database.bound.tenant
    const holder = holders.get(slug)
    const free = !given.has(slug) && (holder === undefined || holder === id || freed.has(holder))
    given.add(slug)
    if (!free) found.conflicts.push({ ...database, why: `another tenant has the slug ${slug}` })
    return free
  }
  found.changed = found.changed.filter(fits)
  found.unknown = found.unknown.filter(fits)
}
