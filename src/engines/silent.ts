import type { Logger } from 'typeorm'

/** The logger of an entity set that has none. */
export const silent: Logger = {
  logQuery: () => {},
  logQueryError: () => {},
  logQuerySlow: () => {},
  logSchemaBuild: () => {},
  logMigration: () => {},
  log: () => {}
}
