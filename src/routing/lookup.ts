import type { Revision, RouteKey } from '../catalog/routes.js'
import { asSaasctlError, SaasctlError } from '../errors.js'
import { LookupEntries, type LookupEntry } from './lookup-entries.js'
import { Reloads } from './reloads.js'
import { isOlder, Told } from './told.js'

/** What the lookup needs to know of a route; the rest is for those who use it. */
export interface Routed {
  tenantId: string
  revision: number
  plan: string
  planRevision: number
}

export interface LookupOptions<Route extends Routed> {
  load(key: RouteKey): Promise<Route | undefined>
  /** The routes of these tenants; one that is missing has none. */
  loadMany(tenantIds: string[]): Promise<Route[]>
  /** How long a route is believed without asking again, with up to a quarter more or less. */
  ttlMs: number
  /** How long "there is no such tenant" is believed. */
  negativeTtlMs: number
  /** How long a known route is served while the catalog does not answer. */
  staleMs: number
  /** Routes kept at most. */
  size: number
  /** A route that is no longer what it was: its connections go another way, or nowhere. */
  onChanged(tenantId: string, route: Route | undefined): void
}

/** Who changes a tenant more often than this while it is loaded once is answered with what was loaded last; it is not kept. */
const TRIES = 5

/**
 * From what a request says to its tenant's route. A hit costs one look into a Map; misses are one query however many ask.
 * A load that began before a change may not put the old revision back.
 */
export class Lookup<Route extends Routed> {
  readonly #options: LookupOptions<Route>
  readonly #entries = new LookupEntries<Route>()
  readonly #loading = new Map<string, Promise<Route | undefined>>()
  /** By tenant: what leads to it, and what was loaded last. What a notice says is no data: whoever may connect may send one. */
  readonly #tenants = new Map<string, { ways: Set<LookupEntry<Route>>; route: Route | undefined }>()
  /** What leads nowhere. */
  readonly #absent = new Set<LookupEntry<Route>>()
  readonly #told = new Told()
  readonly #reloads = new Reloads(tenantIds => this.#reload(tenantIds))
  /** Known routes are given at once, stale or not: a dead catalog must not cost each request a time-out. */
  catalogDown = false
  /** Answers that were older than they should be, because the catalog was away. */
  stale = 0

  constructor(options: LookupOptions<Route>) {
    this.#options = options
  }

  get size(): number {
    return this.#entries.size
  }

  /** The cached route when it is fresh; null for a fresh "no such tenant"; undefined when it must be loaded. */
  peek(key: RouteKey): Route | null | undefined {
    const entry = this.#entries.get(key)
    if (entry === undefined || entry.freshUntil < performance.now()) return undefined
    entry.used = true
    return entry.route ?? null
  }

  /** The route, or undefined when there is none. CATALOG_UNREACHABLE when it is not known and nobody can be asked. */
  async find(key: RouteKey): Promise<Route | undefined> {
    const hit = this.peek(key)
    if (hit !== undefined) return hit ?? undefined
    const name = nameOf(key)
    return (this.catalogDown && this.#usable(key)) || (this.#loading.get(name) ?? this.#load(name, key))
  }

  /** Whether nobody has told us of anything newer: a request that waited must not go the old way. */
  isCurrent(route: Route): boolean {
    const known = this.#tenants.get(route.tenantId)
    return known?.route !== undefined && known.ways.size > 0 && known.route.revision <= route.revision
  }

  /** Somebody says that the tenant has this revision now; 0 when only that it changed. */
  invalidate(tenantId: string, revision: number): void {
    this.#told.tenant(tenantId, revision)
    for (const entry of this.#absent) this.#entries.delete(entry)
    this.#absent.clear()
    const known = this.#tenants.get(tenantId)
    if (!known) return
    if (revision !== 0 && revision <= (known.route?.revision ?? -1)) return
    for (const entry of known.ways) this.#entries.delete(entry)
    known.ways.clear()
    // Those who hold the tenant's connections must hear of it also when nobody asks.
    this.#reloads.add(tenantId)
  }

  /** Every tenant of the plan is loaded again. */
  invalidatePlan(plan: string): void {
    this.#told.plan(plan)
    for (const [tenantId, { route }] of this.#tenants) if (route?.plan === plan) this.invalidate(tenantId, 0)
  }

  /** The catalog is another one, or was set back: its revisions do not compare with what is known. All of it is loaded again. */
  rewound(): void {
    for (const [tenantId, known] of this.#tenants) {
      if (known.route) known.route = { ...known.route, revision: 0 }
      this.invalidate(tenantId, 0)
    }
  }

  /** After notices may have been lost: what is older here than in the catalog, or gone from it, is loaded again. */
  compare(present: Revision[], asked: string[]): void {
    const revisions = new Map(present.map(row => [row.tenantId, row]))
    for (const tenantId of asked) {
      const known = this.#tenants.get(tenantId)?.route
      const now = revisions.get(tenantId)
      if (known && (now?.revision !== known.revision || now.planRevision !== known.planRevision))
        this.invalidate(tenantId, 0)
    }
  }

  tenantIds(): string[] {
    return [...this.#tenants.keys()]
  }

  /** What is known was compared with the catalog just now, and holds for another while. */
  confirm(): void {
    const now = performance.now()
    for (const entry of this.#entries) if (entry.route) Object.assign(entry, this.#lifetimes(now))
  }

  async #reload(tenantIds: string[]): Promise<void> {
    const loaded = this.#told.loading()
    try {
      const began = this.#told.changes
      const routes = new Map((await this.#options.loadMany(tenantIds)).map(route => [route.tenantId, route]))
      for (const tenantId of tenantIds) {
        const route = routes.get(tenantId)
        if (!route) this.#gone(tenantId)
        // Whoever told of something newer meanwhile has asked for it to be loaded once more.
        else if (!this.#isLate(route, began)) this.#keep({ by: 'id', value: tenantId }, route)
      }
    } finally {
      loaded()
    }
  }

  async #load(name: string, key: RouteKey): Promise<Route | undefined> {
    const loaded = this.#told.loading()
    const loading = this.#ask(key)
    this.#loading.set(name, loading)
    try {
      return await loading
    } finally {
      this.#loading.delete(name)
      loaded()
    }
  }

  async #ask(key: RouteKey): Promise<Route | undefined> {
    const before = this.#told.changes
    for (let tries = 1; ; tries += 1) {
      const began = this.#told.changes
      let route: Route | undefined
      try {
        route = await this.#options.load(key)
      } catch (error) {
        return this.#stale(key, error)
      }
      if (route && this.#isLate(route, began)) {
        if (tries < TRIES) continue
        return route
      }
      if (route === undefined && key.by === 'id') this.#gone(key.value)
      if (route !== undefined || this.#told.changes === before) this.#keep(key, route)
      return route
    }
  }

  /** Something newer was told of, or loaded, while this was on its way. */
  #isLate(route: Route, began: number): boolean {
    const known = this.#tenants.get(route.tenantId)
    if (known?.route && isOlder(route, known.route)) return true
    return this.#told.since(began, route)
  }

  #usable(key: RouteKey): Route | undefined {
    const entry = this.#entries.get(key)
    if (!entry?.route || entry.usableUntil < performance.now()) return undefined
    this.stale += 1
    return entry.route
  }

  #stale(key: RouteKey, thrown: unknown): Route {
    const usable = this.#usable(key)
    if (usable) return usable
    const error = asSaasctlError(thrown)
    throw error.code.startsWith('CATALOG_')
      ? error
      : new SaasctlError('CATALOG_UNREACHABLE', error.message, { cause: error })
  }

  #keep(key: RouteKey, route: Route | undefined): void {
    const now = performance.now()
    const { negativeTtlMs, size } = this.#options
    const lifetimes = route
      ? this.#lifetimes(now)
      : { freshUntil: now + negativeTtlMs, usableUntil: now + negativeTtlMs }
    if (this.#entries.size >= size && !this.#entries.get(key)) this.#evict()
    const entry = this.#entries.put(key, { route, ...lifetimes })
    this.#absent.delete(entry)
    if (route) this.#know(entry, route)
    else this.#absent.add(entry)
  }

  #know(entry: LookupEntry<Route>, route: Route): void {
    const known = this.#tenants.get(route.tenantId) ?? { ways: new Set(), route: undefined }
    const before = known.route
    known.route = route
    known.ways.add(entry)
    this.#tenants.set(route.tenantId, known)
    if (before && (before.revision !== route.revision || before.planRevision !== route.planRevision)) {
      // Other names of the tenant, as a former slug, may lead to the old route still.
      for (const other of known.ways) if (other !== entry) this.#forget(other, known.ways)
      this.#options.onChanged(route.tenantId, route)
    }
  }

  #gone(tenantId: string): void {
    const known = this.#tenants.get(tenantId)
    if (!known) return
    for (const entry of known.ways) this.#entries.delete(entry)
    this.#tenants.delete(tenantId)
    this.#options.onChanged(tenantId, undefined)
  }

  #lifetimes(now: number) {
    const { ttlMs, staleMs } = this.#options
    const freshUntil = now + ttlMs * (0.75 + Math.random() / 2)
    return { freshUntil, usableUntil: freshUntil + staleMs }
  }

  #forget(entry: LookupEntry<Route>, ways: Set<LookupEntry<Route>>): void {
    this.#entries.delete(entry)
    ways.delete(entry)
  }

  /** What nobody has asked for lately goes; its tenant with the last that leads to it. */
  #evict(): void {
    const entry = this.#entries.leastUsed()
    if (!entry) return
    const { route } = entry
    this.#absent.delete(entry)
    const known = route && this.#tenants.get(route.tenantId)
    if (!known) {
      this.#entries.delete(entry)
      return
    }
    this.#forget(entry, known.ways)
    if (known.ways.size > 0) return
    this.#tenants.delete(route.tenantId)
    // Nobody would hear of its changes any more, so nobody may hold its connections.
    this.#options.onChanged(route.tenantId, undefined)
  }
}

function nameOf({ by, value }: RouteKey): string {
  return `${by}:${value}`
}
