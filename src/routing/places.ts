import type { RoutedConnection, RoutingEngine } from '../engines/routing.js'
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
  /** The database at the tenant's place is another one. */
  onWrong(tenant: string): void
  waited?(milliseconds: number, tenant: string): void
}

interface Place {
  way: string
  pool: TenantPool
}

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
    const entries = await Promise.all(
      [...this.#servers].map(async ([id, server]) => [id, (await server).budget] as const)
    )
    return new Map(entries)
  }

  /** For metrics: what each server's budget counts, and whether the server is left alone just now. */
  async statistics(): Promise<Array<BudgetStatistics & { server: string; broken: boolean }>> {
    const servers = await Promise.all(this.#servers.values())
    return servers.map(({ budget, breaker }) => ({ ...budget.statistics, server: budget.name, broken: breaker.open }))
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
    const breaker = new Breaker({ what: `The database of tenant ${route.slug}`, counts: error => !isFull(error) })
    const pool = server.budget.tenant({
      name: route.slug,
      connections: route.rules.limits.connections,
      open: async () => {
        try {
          return await server.breaker.run(() => breaker.run(() => this.#open(engine, route)), route.tenantId)
        } catch (error) {
          throw this.#closedTo(route, error)
        }
      }
    })
    this.#places.set(route.tenantId, { way: route.way, pool })
    return pool
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

  async #open(engine: RoutingEngine, route: Route): Promise<RoutedConnection> {
    const { applicationName, connectTimeoutMs } = this.#options
    return engine.open({
      address: route.address,
      database: route.database,
      databaseId: route.databaseId,
      as: await route.credentials(),
      loginVersion: route.loginVersion,
      applicationName,
      statementTimeoutMs: route.rules.limits.statementTimeoutMs,
      connectTimeoutMs
    })
  }

  /** Whatever keeps a tenant's connections from being opened is 503 for this tenant, and its details are the cause's. */
  #closedTo({ slug }: Route, error: unknown): unknown {
    if (!(error instanceof SaasctlError) || isFull(error)) return error
    if (error.code === 'IDENTITY_WRONG') this.#options.onWrong(slug)
    if (!opening.has(error.code)) return error
    return new SaasctlError('TENANT_DOWN', `The database of tenant ${slug} cannot be entered just now.`, {
      hint: 'Look at it with "saasctl doctor".',
      cause: error,
      data: { retryAfterSeconds: 1 },
      retryable: true
    })
  }

  #leave(tenantId: string): void {
    const place = this.#places.get(tenantId)
    if (!place) return
    this.#places.delete(tenantId)
    const { drainMs, onCut } = this.#options
    void place.pool.drain(drainMs).then(cut => {
      if (cut > 0) onCut(place.pool.name, cut)
    })
  }

  #server({ serverId, server: name }: Route): Promise<Server> {
    const known = this.#servers.get(serverId)
    if (known || this.#closed) return known ?? Promise.reject(new Error('the router is closed'))
    const made = this.#options.share(serverId).then(max => {
      const { acquireMs, waited, onServer } = this.#options
      return {
        budget: new ServerBudget({
          name,
          max,
          ...(acquireMs !== undefined && { acquireMs }),
          ...(waited && { waited })
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
