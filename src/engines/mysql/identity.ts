import { SaasctlError } from '../../errors.js'
import type { Credentials, ServerAddress } from '../engine.js'
import { connect } from './connect.js'
import { answerOf } from './errors.js'
import { recordsOf } from './names.js'
import { id } from './quote.js'
import type { Session } from './session.js'

/** The identity table of a database, qualified: app and read-only logins may only SELECT from it. */
export const identityOf = (database: string): string => `${id(recordsOf(database))}.\`identity\``

/** As `guardDatabase` makes it, before any login gets its rights to it. */
export const identityTable = (database: string): string =>
  `CREATE TABLE IF NOT EXISTS ${identityOf(database)} (
    database_id char(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
    made_at timestamp(3) NOT NULL DEFAULT current_timestamp(3)
  ) ENGINE = InnoDB`

/** Leaves exactly this row, whatever was there. As the database's owner. */
export async function writeIdentity(session: Session, database: string, databaseId: string): Promise<void> {
  await session.run('START TRANSACTION')
  await session.run(`DELETE FROM ${identityOf(database)} WHERE database_id <> ?`, [databaseId])
  await session.run(`INSERT IGNORE INTO ${identityOf(database)} (database_id) VALUES (?)`, [databaseId])
  await session.run('COMMIT')
}

/** Logs in, reads the identity row, logs out. IDENTITY_WRONG unless there is exactly one, with this id. */
export async function identify(
  server: ServerAddress,
  database: string,
  as: Credentials,
  databaseId: string
): Promise<void> {
  const session = await connect(server, { database, as, programName: 'saasctl/identify' })
  try {
    const ids = await identityRows(session, database)
    if (ids.length !== 1 || ids[0] !== databaseId) throw wrong(session, found(ids))
  } finally {
    session.leave()
  }
}

/** No such database, no such table; the login lacks the right to one that may not be there either. */
const NOT_THERE = ['1049', '1146', '1044']

async function identityRows(session: Session, database: string): Promise<string[]> {
  try {
    const rows = await session.rows<{ database_id: string }>(`SELECT database_id FROM ${identityOf(database)} LIMIT 2`)
    return rows.map(({ database_id }) => database_id)
  } catch (error) {
    const state = answerOf(error)?.state
    if (state !== undefined && NOT_THERE.includes(state)) throw wrong(session, 'has no identity table')
    if (state === '1142') throw wrong(session, 'does not show its identity row to this login')
    throw error
  }
}

function found(ids: string[]): string {
  if (ids.length > 1) return 'has more than one identity row'
  return ids[0] === undefined ? 'has no identity row' : `says that it is ${ids[0]}`
}

function wrong({ place }: Session, what: string): SaasctlError {
  const { host, port, database } = place
  return new SaasctlError('IDENTITY_WRONG', `The database "${database}" on ${host}:${port} ${what}.`, {
    hint: 'Let nobody in before you know which database it is.'
  })
}
