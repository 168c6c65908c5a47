import { SaasctlError } from '../errors.js'
import type { EngineName } from './engine.js'
import type { RoutingEngine } from './routing.js'

export type RoutingRegistry = (name: EngineName) => Promise<RoutingEngine>

const loaders: Partial<Record<EngineName, () => Promise<RoutingEngine>>> = {
  postgres: async () => new (await import('./postgres/routing/routing.js')).PostgresRouting(),
  mysql: async () => new (await import('./mysql/routing/routing.js')).MysqlRouting()
}

/** The engines that have a router. */
export const routedEngines = Object.keys(loaders) as EngineName[]

/** Loads an engine's part of the router when a tenant's database first needs it, once per registry. */
export function routingRegistry(): RoutingRegistry {
  const loaded = new Map<EngineName, Promise<RoutingEngine>>()
  return name => {
    const load = loaders[name]
    if (!load) throw new SaasctlError('SERVER_UNSUPPORTED', `There is no router for the engine "${name}".`)
    const engine = loaded.get(name) ?? load()
    loaded.set(name, engine)
    return engine
  }
}
