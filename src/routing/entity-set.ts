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

/** An application's entities: their metadata, built once for each engine that it meets. */
export class EntitySet {
  readonly #parts: EntitySetParts
  readonly #entities: EntityOptions
  readonly #templates = new Map<Route['engine'], Promise<EntityTemplate>>()

  constructor(parts: EntitySetParts, entities: EntityOptions) {
    this.#parts = parts
    this.#entities = entities
  }

  /** The metadata for an engine. ROUTER_ENTITIES for entities that cannot be shared; TypeORM's own errors keep their words. */
  template(name: Route['engine']): Promise<EntityTemplate> {
    const known = this.#templates.get(name)
    if (known) return known
    const built = this.#parts.engine(name).then(engine => engine.template(this.#entities))
    this.#templates.set(name, built)
    return built
  }

  /**
   * Builds it for the engines that tenants are on: a mistake must show at start, not at the first tenant's first query. Where
   * there is no tenant yet, only what is a mistake on every engine is one: entities may well be for one alone.
   */
  async tryOut(): Promise<void> {
    const { catalog, engines } = this.#parts
    const used = await enginesInUse(catalog, engines)
    if (used.length > 0) {
      await Promise.all(used.map(name => this.template(name)))
      return
    }
    const tried = engines.map(name => this.template(name))
    await Promise.any(tried).catch(() => tried[0])
  }
}
