import type { AppliedMigration, Credentials, ServerAddress } from '../engine.js'
import { connect } from './connect.js'
import { literal } from './quote.js'
import { recordTable, type Step } from './records.js'
import type { Session } from './session.js'

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
