import { SaasctlError } from '../../errors.js'
import { isUuid } from '../../names.js'
import type { Credentials, ServerAddress } from '../engine.js'
import { connect } from './connect.js'
import { answerOf } from './errors.js'
import { SCHEMA } from './furnish.js'
import type { Session } from './session.js'

/** Logs in, reads the identity row, logs out. IDENTITY_WRONG when there is not exactly one. */
export async function identify(server: ServerAddress, database: string, as: Credentials): Promise<string> {
  const session = await connect(server, { database, as, applicationName: 'saasctl/identify' })
  try {
    return await readIdentity(session)
  } finally {
    await session.end()
  }
}

async function readIdentity(session: Session): Promise<string> {
  const { host, port, database } = session.place
  const none = (why: string) =>
    new SaasctlError('IDENTITY_WRONG', `The database "${database}" on ${host}:${port} ${why}.`, {
      hint: 'It was not finished, or it is not one of ours: let nobody in before you know which.'
    })
  const rows = await session
    .rows<{ database_id: string }>(`SELECT database_id::pg_catalog.text FROM ${SCHEMA}.identity LIMIT 2`)
    .catch(error => {
      const state = answerOf(error)?.state
      if (state === '42P01' || state === '3F000') throw none('has no identity row')
      if (state === '42501') throw none('does not show its identity row to this login')
      throw error
    })
  const [row] = rows
  if (!row || rows.length > 1 || !isUuid(row.database_id)) {
    throw none(rows.length > 1 ? 'has more than one identity row' : 'has no identity row')
  }
  return row.database_id
}
