import type { DataSource } from 'typeorm'
import { routerEvent, routerInvalidate } from '../catalog/routers.js'
import { findRoute, findRoutes, type RouteKey } from '../catalog/routes.js'
import type { EntityOptions } from '../engines/routing.js'
import { SaasctlError } from '../errors.js'
import { isUuid, quoteInput } from '../names.js'
import type { KeyStore } from '../secrets/keystore.js'
import { EntitySet, type EntitySetParts, type Made } from './entity-set.js'
import type { Lease } from './lease.js'
import { Listener } from './listener.js'
import { Lookup } from './lookup.js'
import type { Observer } from './observe/observer.js'
import { startWatch, Watch, type WatchOptions } from './observe/watch.js'
import { Places } from './places.js'
import { type Route, routeOf } from './route.js'
import { TenantSession } from './session.js'
import { Shares } from './shares.js'
import { checkSchema, type SchemaRange } from './tenant.js'
import type { TenantPool } from './tenant-pool.js'

export interface TenantsOptions extends EntityOptions, WatchOptions {
  /** The application's name, in the catalog's list of routers and in each session's application_name. */
  service?: string
  /** Migrations that this program works with. */
  schema?: SchemaRange
  /** How long requests that have begun may go on after their tenant was moved, or the router closed, in milliseconds; 30,000. */
  drainMs?: number
  /** How long a request waits for a connection, in milliseconds; 5,000. */
  acquireMs?: number
  /** How long a connection may take to open, in milliseconds; 5,000. */
  connectTimeoutMs?: number
  /** How long known tenants are served while the catalog is away, in milliseconds; an hour. */
  staleMs?: number
  /** How often all revisions are compared, in milliseconds; 2,000. */
  pollMs?: number
  /** Tenants to remember; 10,000. */
  remember?: number
  /** What an operator should know: a catalog or server that is away, a database that is another one, cut requests. */
  onNotice?: (notice: Notice) => void
}

export interface Notice {
  event: 'catalog.away' | 'catalog.back' | 'server.away' | 'server.back' | 'tenant.wrong' | 'drain.cut' | 'share.lost'
  message: string
  tenant?: string
  server?: string
}

/** A tenant's DataSource, and the lease that its connections come from. */
export interface Lent {
  dataSource: DataSource
  lease: Lease
}

export interface TenantsParts extends EntitySetParts {
  keys: KeyStore
}

const defaults = { drainMs: 30_000, connectTimeoutMs: 5_000, staleMs: 3_600_000, pollMs: 2_000, remember: 10_000 }

/** Whoever changes a tenant more often than this while one request looks for its way makes that request fail. */
const WAYS = 5

/** Tenants for programs: finds where one is and lends its database, within the server's budget and the plan's limits. */
export class Tenants {
  readonly #schema: SchemaRange
  readonly #parts: TenantsParts
  readonly #entities: EntitySet
  readonly #lookup: Lookup<Route>
  readonly #listener: Listener
  readonly #places: Places
  readonly #shares: Shares
  readonly #drainMs: number
  readonly #watching: WatchOptions
  #watch = new Watch()
  #catalogUp = true
  #closing: Promise<void> | undefined

  constructor(parts: TenantsParts, options: TenantsOptions) {
    const { service = 'app', schema = {}, onNotice = () => {} } = options
    const settings = { ...defaults, ...withoutUndefined(options) }
    this.#parts = parts
    const { entities, subscribers, namingStrategy, entityPrefix, logger } = options
    const wish = withoutUndefined({ entities, subscribers, namingStrategy, entityPrefix, logger })
    this.#entities = new EntitySet(parts, wish)
    this.#schema = schema
    this.#drainMs = settings.drainMs
    this.#watching = options
    this.#shares = new Shares(parts.catalog, {
      service,
      schema,
      onLost: message => onNotice({ event: 'share.lost', message })
    })
    this.#places = new Places({
      engine: parts.engine,
      share: serverId => this.#shares.ask(serverId),
      drainMs: settings.drainMs,
      connectTimeoutMs: settings.connectTimeoutMs,
      applicationName: `${service}/${this.#shares.instance}`.slice(0, 63),
      ...(options.acquireMs !== undefined && { acquireMs: options.acquireMs }),
      onCut: (tenant, leases) =>
        onNotice({
          event: 'drain.cut',
          tenant,
          message: `${leases} requests of ${tenant} were cut at the drain deadline.`
        }),
      onServer: (server, answers) =>
        onNotice(
          answers
            ? { event: 'server.back', server, message: `The server ${server} answers again.` }
            : { event: 'server.away', server, message: `The server ${server} does not answer; its tenants get 503.` }
        ),
      onCrowded: ({ serverId, tenantId }) => void this.#shares.crowded(serverId, tenantId),
      onWrong: tenant =>
        onNotice({
          event: 'tenant.wrong',
          tenant,
          message: `The database at the place of tenant ${tenant} is not its own; nobody is let in. Run "saasctl doctor".`
        })
    })
    this.#lookup = new Lookup<Route>({
      load: async key => {
        const row = await findRoute(parts.catalog, key)
        return row && routeOf(row, parts.keys)
      },
      loadMany: async tenantIds => {
        const rows = await findRoutes(parts.catalog, tenantIds)
        return rows.map(row => routeOf(row, parts.keys))
      },
      ttlMs: 300_000,
      negativeTtlMs: 5_000,
      staleMs: settings.staleMs,
      size: settings.remember,
      onChanged: (tenantId, route) => this.#places.changed(tenantId, route)
    })
    this.#listener = new Listener(parts.catalog, this.#lookup, {
      pollMs: settings.pollMs,
      batch: 1000,
      onCrowd: (tenantId, routers) => this.#places.crowded(tenantId, routers),
      onState: up => {
        this.#catalogUp = up
        onNotice(
          up
            ? { event: 'catalog.back', message: 'The catalog answers; every known tenant was compared with it.' }
            : { event: 'catalog.away', message: 'The catalog does not answer; known tenants are served as they were.' }
        )
      }
    })
  }

  /** Builds the entities' metadata, says that this router lives, and listens. ROUTER_ENTITIES for entities that cannot be shared. */
  async start(): Promise<void> {
    await this.#entities.tryOut()
    // Asking an engine loads its driver: only where spans need to know.
    const systems = this.#watching.tracing ? await this.#systems() : new Map<string, string>()
    this.#watch = await startWatch(
      this.#watching,
      {
        servers: () => this.#places.statistics(),
        lookup: () => ({ known: this.#lookup.size, stale: this.#lookup.stale, catalogUp: this.#catalogUp })
      },
      ({ engine }) => systems.get(engine) ?? engine
    )
    await this.#shares.start(() => this.#places.budgets())
    await this.#listener.start()
  }

  /** The route when it is known and fresh, null for a known "no such tenant", undefined when `find` must be awaited. */
  peek(key: RouteKey): Route | null | undefined {
    return this.#lookup.peek(key)
  }

  /** The tenant's route, whatever its status; undefined when there is none. CATALOG_UNREACHABLE when nobody can say. */
  find(key: RouteKey): Promise<Route | undefined> {
    return this.#lookup.find(key)
  }

  /** `where` is the request's route, for messages. */
  session(route: Route, where?: string): TenantSession {
    return new TenantSession(this, route, where)
  }

  /** Lends the tenant's database until the callback settles; for jobs and scripts. TENANT_REFUSED when it is not to be had. */
  async use<T>(slugOrId: string, work: (session: TenantSession) => Promise<T>): Promise<T> {
    const route = await this.find({ by: isUuid(slugOrId) ? 'id' : 'slug', value: slugOrId })
    if (route?.status !== 'active') throw refused(slugOrId, route)
    const session = this.session(route)
    // For callbacks that take it apart: `({ tenant, transaction }) => …`.
    session.db = session.db.bind(session)
    session.transaction = session.transaction.bind(session)
    try {
      return await work(session)
    } finally {
      session.end()
    }
  }

  /** For sessions: a DataSource over a lease of the tenant's connections, by the way that is right now. */
  async lend(session: TenantSession): Promise<Lent> {
    const [route, pool] = await this.#way(session.route)
    const made = await this.#entities.make(route.engine)
    return this.#lent(session, route, pool, made)
  }

  /** The same at once, where there is nothing to wait for: for nearly every request. It saves ten promises. */
  lendReady(session: TenantSession): Lent | undefined {
    const { route } = session
    const made = this.#entities.ready(route.engine)
    if (!made || route.status !== 'active' || !this.#lookup.isCurrent(route)) return undefined
    checkSchema(route, this.#schema)
    const pool = this.#places.ready(route)
    return pool && this.#lent(session, route, pool, made)
  }

  #lent({ where }: TenantSession, route: Route, pool: TenantPool, { engine, template }: Made): Lent {
    const lease = pool.lease(this.#watch.borrower(route, where))
    return { lease, dataSource: engine.dataSource(template, route.database, lease) }
  }

  /** A way that was right a moment ago may be no more after anything was waited for: then it is looked for again. */
  async #way(asked: Route): Promise<[Route, TenantPool]> {
    let route: Route | undefined = asked
    for (let tries = 1; ; tries += 1) {
      if (!this.#lookup.isCurrent(route)) route = await this.find({ by: 'id', value: asked.tenantId })
      if (route?.status !== 'active') throw refused(asked.slug, route)
      checkSchema(route, this.#schema)
      const pool = this.#places.ready(route) ?? (await this.#places.pool(route))
      if ((this.#lookup.isCurrent(route) && !pool.draining) || tries === WAYS) return [route, pool]
    }
  }

  /** Says in our words what went wrong when the server or the way to it did; undefined for an answer to the application's SQL. */
  async explain({ engine }: Route, error: unknown): Promise<SaasctlError | undefined> {
    return (await this.#parts.engine(engine)).explain(error)
  }

  /** Writes a security event to the catalog's audit trail; the caller caps how often. */
  event(action: string, payload: Record<string, string | number>): Promise<void> {
    return routerEvent(this.#parts.catalog, this.#shares.instance, action, payload)
  }

  /** Voids everything that is cached of the tenant under `tenant.key`, in every process. TENANT_REFUSED when there is none. */
  async invalidate(slugOrId: string): Promise<void> {
    const route = await this.find({ by: isUuid(slugOrId) ? 'id' : 'slug', value: slugOrId })
    if (!route) throw refused(slugOrId)
    await routerInvalidate(this.#parts.catalog, this.#shares.instance, route.tenantId)
    // Whoever invalidates goes on with the new keys; the others hear of it.
    this.#lookup.invalidate(route.tenantId, 0)
  }

  /** Whoever watches, once it has started. */
  get observer(): Observer {
    return this.#watch.observer
  }

  /** The trace that is active here; undefined without tracing. */
  traceId(): string | undefined {
    return this.#watch.traceId
  }

  /** The router's metrics in Prometheus' text format, with the registry's content type. USAGE unless they were asked for. */
  async metrics(): Promise<{ contentType: string; text: string }> {
    return this.#watch.metrics()
  }

  /** Takes no more work, lets what has begun finish until the deadline, and closes everything. */
  close(deadlineMs = this.#drainMs): Promise<void> {
    this.#closing ??= this.#close(deadlineMs)
    return this.#closing
  }

  async #close(deadlineMs: number): Promise<void> {
    await this.#places.close(deadlineMs)
    this.#watch.stop()
    await this.#listener.close()
    await this.#shares.close()
    await this.#parts.catalog.close()
  }

  async #systems(): Promise<Map<string, string>> {
    const { engines, engine } = this.#parts
    return new Map(await Promise.all(engines.map(async name => [name, (await engine(name)).system] as const)))
  }
}

function refused(slugOrId: string, route?: Route): SaasctlError {
  if (route?.status === 'held') {
    return new SaasctlError('TENANT_DOWN', `Tenant ${route.slug} is held for a moment.`, { retryable: true })
  }
  return new SaasctlError('TENANT_REFUSED', `There is no active tenant ${quoteInput(slugOrId)}.`, {
    hint: `Look at it with "saasctl tenant show".`
  })
}

function withoutUndefined<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as T
}
