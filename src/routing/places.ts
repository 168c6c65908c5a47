import type { RoutedConnection, RoutedWay, RoutingEngine } from '../engines/routing.js'
import { SaasctlError } from '../errors.js'
import { Breaker } from './breaker.js'
import type { BudgetStatistics } from './budget/options.js'
import { ServerBudget } from './budget.js'
import type { Route } from './route.js'
import type { TenantPool } from './tenant-pool.js'

export interface PlacesOptions {
  engine(name: Route['engine']): Promise<RoutingEngine>
  /** Connections that this router may hold on a server; asked when the server is first used. */
  share(serverId: string): Promise<number>
  /** How long requests that have begun may go on by a way that is no longer right. */
  drainMs: number
  applicationName: string
  connectTimeoutMs: number
  acquireMs?: number
  /** A drain that cut requests short. */
  onCut(tenant: string, leases: number): void
  /** A server does not answer any more, or does again: once for all its tenants. */
  onServer(server: string, answers: boolean): void
  /** Other routers hold all connections that the tenant may have. Told once a second at most. */
  onCrowded(route: Route): void
  /** The database at the tenant's place is another one. */
  onWrong(tenant: string): void
}

interface Place {
  way: string
  pool: TenantPool
  /** The plan's. */
  connections: number
  crowdedAt: number
  /** Ends the time in which it keeps to its part. */
  alone: NodeJS.Timeout | undefined
}

const CROWDED_MS = 1_000
/** So long each router keeps to its part of a tenant's connections after they met its limit together. */
const TOGETHER_MS = 30_000

interface Server {
  budget: ServerBudget
  breaker: Breaker
}

/** What a tenant's database, its server or the way there may answer when a connection is opened. */
const opening = new Set<string>([
  'IDENTITY_WRONG',
  'SERVER_UNREACHABLE',
  'SERVER_DENIED',
  'SERVER_FAILED',
  'SERVER_BUSY'
])

const isUnreachable = (error: unknown) => error instanceof SaasctlError && error.code === 'SERVER_UNREACHABLE'

/** A limit on connections was met: the budget knows what to do. */
const isFull = (error: unknown) => error instanceof SaasctlError && error.data?.['full'] !== undefined

/** Where each tenant's connections are: one pool per tenant, one budget per server. */
export class Places {
  readonly #options: PlacesOptions
  readonly #places = new Map<string, Place>()
  readonly #servers = new Map<string, Promise<Server>>()
  #closed = false

  constructor(options: PlacesOptions) {
    this.#options = options
  }

  /** The budgets of the servers in use, for shares and metrics. */
  async budgets(): Promise<Map<string, ServerBudget>> {
    const servers = await this.#known()
    return new Map([...servers].map(([id, { budget }]) => [id, budget]))
  }

  /** For metrics: what each server's budget counts, and whether the server is left alone just now. */
  async statistics(): Promise<Array<BudgetStatistics & { server: string; broken: boolean }>> {
    const servers = await this.#known()
    return [...servers.values()].map(({ budget, breaker }) => ({
      ...budget.statistics,
      server: budget.name,
      broken: breaker.open
    }))
  }

  /** The pool for this route, when it is there: the way of nearly every request. */
  ready(route: Route): TenantPool | undefined {
    const place = this.#places.get(route.tenantId)
    return place?.way === route.way && !place.pool.draining ? place.pool : undefined
  }

  /** The pool for this route. One for another way is drained meanwhile. Opens nothing. */
  async pool(route: Route): Promise<TenantPool> {
    const [server, engine] = await Promise.all([this.#server(route), this.#options.engine(route.engine)])
    const ready = this.ready(route)
    if (ready) return ready
    this.#leave(route.tenantId)
    const { connections } = route.rules.limits
    const breaker = new Breaker({ what: `The database of tenant ${route.slug}`, counts: error => !isFull(error) })
    const enter = async (act: (way: RoutedWay) => Promise<RoutedConnection>) => {
      try {
        const guarded = () => breaker.run(async () => act(await this.#way(route)))
        return await server.breaker.run(guarded, route.tenantId)
      } catch (error) {
        throw this.#closedTo(route, error)
      }
    }
    const repoint = engine.repoint?.bind(engine)
    const pool = server.budget.tenant({
      name: route.slug,
      connections,
      open: () => enter(way => engine.open(way)),
      repoint: repoint && (former => enter(way => repoint(former, way)))
    })
    this.#places.set(route.tenantId, { way: route.way, pool, connections, crowdedAt: 0, alone: undefined })
    return pool
  }

  /** So many routers hold all that the tenant may have: each keeps its part for a while, idle ones above it are closed. */
  crowded(tenantId: string, routers: number): void {
    const place = this.#places.get(tenantId)
    if (!place) return
    place.pool.connections = Math.max(1, Math.floor(place.connections / routers))
    clearTimeout(place.alone)
    place.alone = setTimeout(() => {
      place.pool.connections = place.connections
    }, TOGETHER_MS).unref()
  }

  /** The tenant's way changed, or leads nowhere any more: who is inside may finish, nobody new gets in. */
  changed(tenantId: string, route: Route | undefined): void {
    const place = this.#places.get(tenantId)
    if (place && (route?.status !== 'active' || route.way !== place.way)) this.#leave(tenantId)
  }

  /** Lets requests finish until the deadline, then cuts them. */
  async close(deadlineMs: number): Promise<void> {
    this.#closed = true
    const budgets = await this.budgets()
    await Promise.all([...budgets.values()].map(budget => budget.shutdown(deadlineMs)))
  }

  async #way(route: Route): Promise<RoutedWay> {
    const { applicationName, connectTimeoutMs } = this.#options
    return {
      address: route.address,
      database: route.database,
      databaseId: route.databaseId,
      as: await route.credentials(),
      loginVersion: route.loginVersion,
      applicationName,
      statementTimeoutMs: route.rules.limits.statementTimeoutMs,
      idleInTransactionMs: route.rules.limits.idleInTransactionMs,
      connectTimeoutMs
    }
  }

  /** Whatever keeps a tenant's connections from being opened is 503 for this tenant, and its details are the cause's. */
  #closedTo(route: Route, error: unknown): unknown {
    if (!(error instanceof SaasctlError)) return error
    if (error.data?.['full'] === 'tenant') this.#tellCrowd(route)
    if (isFull(error)) return error
    const { slug } = route
    if (error.code === 'IDENTITY_WRONG') this.#options.onWrong(slug)
    if (!opening.has(error.code)) return error
    return new SaasctlError('TENANT_DOWN', `The database of tenant ${slug} cannot be entered just now.`, {
      hint: 'Look at it with "saasctl doctor".',
      cause: error,
      data: { retryAfterSeconds: 1 },
      retryable: true
    })
  }

  #tellCrowd(route: Route): void {
    const place = this.#places.get(route.tenantId)
    const now = performance.now()
    if (!place || now - place.crowdedAt < CROWDED_MS) return
    place.crowdedAt = now
    this.#options.onCrowded(route)
  }

  /** Without those whose share could not be had: they hold nothing. */
  async #known(): Promise<Map<string, Server>> {
    const found = new Map<string, Server>()
    for (const [id, server] of [...this.#servers]) {
      const made = await server.catch(() => undefined)
      if (made) found.set(id, made)
    }
    return found
  }

  #leave(tenantId: string): void {
    const place = this.#places.get(tenantId)
    if (!place) return
    this.#places.delete(tenantId)
    clearTimeout(place.alone)
    const { drainMs, onCut } = this.#options
    void place.pool.drain(drainMs).then(cut => {
      if (cut > 0) onCut(place.pool.name, cut)
    })
  }

  #server({ serverId, server: name }: Route): Promise<Server> {
    const known = this.#servers.get(serverId)
    if (known || this.#closed) return known ?? Promise.reject(new Error('the router is closed'))
    const made = this.#options.share(serverId).then(max => {
      const { acquireMs, onServer } = this.#options
      return {
        budget: new ServerBudget({
          name,
          max,
          ...(acquireMs !== undefined && { acquireMs })
        }),
        breaker: new Breaker({
          what: `The server ${name}`,
          counts: isUnreachable,
          callers: 2,
          onChange: open => onServer(name, !open)
        })
      }
    })
    // A share that could not be had is asked for again by the next request.
    made.catch(() => this.#servers.delete(serverId))
    this.#servers.set(serverId, made)
    return made
  }
}
