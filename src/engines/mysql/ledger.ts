import { SaasctlError } from '../../errors.js'
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

/** Makes an empty ledger say this; one that says it already is left alone. */
export async function baseline(session: Session, names: ReadonlyArray<{ name: string }>): Promise<void> {
  const ours = await applied(session)
  const wanted = names.map(({ name }) => name)
  if (ours.length > 0) {
    if (ours.map(({ name }) => name).join('\n') === wanted.join('\n')) return
    throw new SaasctlError('MIGRATION_CHANGED', `The ledger of database "${session.place.database}" is not empty.`)
  }
  if (wanted.length === 0) return
  const ledger = recordTable(session.place.database, 'pgmigrations')
  await session.run(`INSERT INTO ${ledger} (name) VALUES ${wanted.map(name => `(${literal(name)})`).join(', ')}`)
}
