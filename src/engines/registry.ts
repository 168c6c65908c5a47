import { SaasctlError } from '../errors.js'
import type { Engine, EngineName } from './engine.js'

export type EngineRegistry = (name: EngineName) => Promise<Engine>

const loaders: Partial<Record<EngineName, () => Promise<Engine>>> = {
  postgres: async () => new (await import('./postgres/postgres.js')).PostgresEngine(),
  mysql: async () => new (await import('./mysql/mysql.js')).MysqlEngine()
}

/** Loads an engine when it is first asked for, once per registry; `close` ends what the loaded ones keep open. */
export function engineRegistry(): { engine: EngineRegistry; close(): Promise<void> } {
  const loaded = new Map<EngineName, Promise<Engine>>()
  return {
    engine: name => {
      const load = loaders[name]
      if (!load) throw new SaasctlError('SERVER_UNSUPPORTED', `There is no engine named "${name}".`)
      const engine = loaded.get(name) ?? load()
      loaded.set(name, engine)
      return engine
    },
    close: async () => {
      for (const engine of loaded.values()) await (await engine).close()
    }
  }
}
