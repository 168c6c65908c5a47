import { randomBytes } from 'node:crypto'
import type { MigrationFile } from '../engine.js'
import { recordsOf } from './names.js'
import { id } from './quote.js'
import type { Session } from './session.js'

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

/** Makes the ledger, the journal and the migration lock's name, as the database's owner. What is there stays. */
export async function makeRecords(session: Session, database: string): Promise<void> {
  await session.run(`CREATE TABLE IF NOT EXISTS ${recordTable(database, 'pgmigrations')} (
    id integer NOT NULL AUTO_INCREMENT PRIMARY KEY,
    name varchar(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    run_on timestamp(6) NOT NULL DEFAULT current_timestamp(6)
  ) ENGINE = InnoDB`)
  // A row for each statement of the one migration that is under way. Empty between migrations: the transaction that moves
  // the ledger takes these away.
  await session.run(`CREATE TABLE IF NOT EXISTS ${recordTable(database, 'journal')} (
    position integer NOT NULL PRIMARY KEY,
    migration varchar(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    direction varchar(4) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    statement_hash char(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    fingerprint_before char(64) CHARACTER SET ascii COLLATE ascii_bin,
    objects_before mediumtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
    fingerprint_after char(64) CHARACTER SET ascii COLLATE ascii_bin,
    done boolean NOT NULL,
    at timestamp(6) NOT NULL DEFAULT current_timestamp(6)
  ) ENGINE = InnoDB`)
  await session.run(`CREATE TABLE IF NOT EXISTS ${recordTable(database, 'migration_lock')} (
    one tinyint NOT NULL PRIMARY KEY,
    name varchar(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL
  ) ENGINE = InnoDB`)
  await session.run(`INSERT IGNORE INTO ${recordTable(database, 'migration_lock')} (one, name) VALUES (1, ?)`, [
    `saasctl/${database}/${randomBytes(12).toString('hex')}`
  ])
}
