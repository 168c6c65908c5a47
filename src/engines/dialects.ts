import type { EngineName } from './engine.js'
import type { Dialect } from './statements.js'

/** How each engine's SQL is read. Apart from the engines themselves, so that reading files loads no driver. */
export const dialects: Readonly<Record<EngineName, Dialect>> = {
  postgres: {},
  mysql: { backslashes: true, flatComments: true, dollarQuotes: false }
}
