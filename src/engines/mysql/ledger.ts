import { randomBytes } from 'node:crypto'
import type { AppliedMigration, Credentials, ServerAddress } from '../engine.js'
import { connect } from './connect.js'
import { JOURNAL_COLUMNS } from './journal.js'
import { literal } from './quote.js'
import { recordTable, type Step } from './records.js'
import type { Session } from './session.js'

/** Makes the ledger, empty, and what belongs to it, as the database's owner. What is there stays. */
export async function makeLedger(session: Session, database: string): Promise<void> {
  await session.run(`CREATE TABLE IF NOT EXISTS ${recordTable(database, 'pgmigrations')} (
    id integer NOT NULL AUTO_INCREMENT PRIMARY KEY,
    name varchar(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    run_on timestamp(6) NOT NULL DEFAULT current_timestamp(6)
  ) ENGINE = InnoDB`)
  await session.run(
    `CREATE TABLE IF NOT EXISTS ${recordTable(database, 'journal')} (${JOURNAL_COLUMNS}) ENGINE = InnoDB`
  )
  await session.run(`CREATE TABLE IF NOT EXISTS ${recordTable(database, 'migration_lock')} (
    one tinyint NOT NULL PRIMARY KEY,
    name varchar(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL
  ) ENGINE = InnoDB`)
  await session.run(`INSERT IGNORE INTO ${recordTable(database, 'migration_lock')} (one, name) VALUES (1, ?)`, [
    `saasctl/${database}/${randomBytes(12).toString('hex')}`
  ])
}

/** In the order in which they were applied. */
export async function applied(session: Session): Promise<AppliedMigration[]> {
  return await session.rows<AppliedMigration>(
    `SELECT name, run_on AS at FROM ${recordTable(session.place.database, 'pgmigrations')} ORDER BY id`
  )
}

/** The same, as the owner who logs in for it and out again. */
export async function appliedMigrations(
  server: ServerAddress,
  database: string,
  owner: Credentials
): Promise<AppliedMigration[]> {
  const session = await connect(server, { database, as: owner, programName: 'saasctl/applied' })
  try {
    return await applied(session)
  } finally {
    await session.end()
  }
}

/** The one statement that moves the ledger. */
export function record({ file, direction }: Step, database: string): string {
  const ledger = recordTable(database, 'pgmigrations')
  return direction === 'up'
    ? `INSERT INTO ${ledger} (name) VALUES (${literal(file.name)})`
    : `DELETE FROM ${ledger} WHERE name = ${literal(file.name)}`
}
