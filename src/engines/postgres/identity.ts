import { SaasctlError } from '../../errors.js'
import type { Credentials, ServerAddress } from '../engine.js'
import { connect } from './connect.js'
import { answerOf } from './errors.js'
import { SCHEMA } from './furnish.js'
import type { Session } from './session.js'

/** Logs in, reads the identity row, logs out. IDENTITY_WRONG unless there is exactly one, with this id. */
export async function identify(
  server: ServerAddress,
  database: string,
  as: Credentials,
  databaseId: string
): Promise<void> {
  const session = await connect(server, { database, as, applicationName: 'saasctl/identify' })
  try {
    const ids = await identityRows(session)
    if (ids.length !== 1 || ids[0] !== databaseId) throw wrong(session, found(ids))
  } finally {
    session.leave()
  }
}

async function identityRows(session: Session): Promise<string[]> {
  try {
    const rows = await session.rows<{ database_id: string }>(`SELECT database_id::text FROM ${SCHEMA}.identity LIMIT 2`)
    return rows.map(({ database_id }) => database_id)
  } catch (error) {
    const state = answerOf(error)?.state
    if (state === '42P01' || state === '3F000') throw wrong(session, 'has no identity table')
    if (state === '42501') throw wrong(session, 'does not show its identity row to this login')
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
