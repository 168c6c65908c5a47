import type { MigrationFile } from '../engine.js'
import { recordsOf } from './names.js'
import { id } from './quote.js'

/** Tables of ours stand in the records beside the database, where only its owner may read and write. */
export const recordTable = (database: string, table: 'pgmigrations' | 'journal' | 'migration_lock'): string =>
  `${id(recordsOf(database))}.${id(table)}`

/** One file in one direction, on top of a ledger that ends at `after`. */
export interface Step {
  file: MigrationFile
  direction: 'up' | 'down'
  after: string | null
  sql: string
}
