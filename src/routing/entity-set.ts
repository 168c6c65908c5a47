import type { Catalog } from '../catalog/catalog.js'
import { enginesInUse } from '../catalog/routes.js'
import type { EntityOptions, EntityTemplate, RoutingEngine } from '../engines/routing.js'
import type { Route } from './route.js'

export interface EntitySetParts {
  catalog: Catalog
  /** The engines that tenants may be on. */
  engines: ReadonlyArray<Route['engine']>
  engine(name: Route['engine']): Promise<RoutingEngine>
}

/** What it takes to make a DataSource on one engine. */
export interface Made {
  engine: RoutingEngine
  template: EntityTemplate
}

/** An application's entities: their metadata, built once for each engine that it meets. */
export class EntitySet {
  readonly #parts: EntitySetParts
  readonly #entities: EntityOptions
  readonly #making = new Map<Route['engine'], Promise<Made>>()
  readonly #made = new Map<Route['engine'], Made>()

  constructor(parts: EntitySetParts, entities: EntityOptions) {
    this.#parts = parts
    this.#entities = entities
  }

  /** When it is there: a request has nothing to wait for then. */
  ready(name: Route['engine']): Made | undefined {
    return this.#made.get(name)
  }

  /** The metadata for an engine. ROUTER_ENTITIES for entities that cannot be shared; TypeORM's own errors keep their words. */
  make(name: Route['engine']): Promise<Made> {
    const known = this.#making.get(name)
    if (known) return known
    const making = this.#make(name)
    this.#making.set(name, making)
    return making
  }

  /**
   * Builds it for the engines that tenants are on: a mistake must show at start, not at the first tenant's first query. Where
   * there is no tenant yet, only what is a mistake on every engine is one: entities may well be for one alone.
   */
  async tryOut(): Promise<void> {
    const { catalog, engines } = this.#parts
    const used = await enginesInUse(catalog, engines)
    if (used.length > 0) {
      await Promise.all(used.map(name => this.make(name)))
      return
    }
    const tried = engines.map(name => this.make(name))
    await Promise.any(tried).catch(() => tried[0])
  }

  async #make(name: Route['engine']): Promise<Made> {
    const engine = await this.#parts.engine(name)
    const made = { engine, template: await engine.template(this.#entities) }
    this.#made.set(name, made)
    return made
  }
}
