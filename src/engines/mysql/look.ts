import type { Credentials, Look, ServerAddress } from '../engine.js'
import { connect } from './connect.js'
import { fingerprintOf } from './fingerprint.js'
import { applied } from './ledger.js'

/** Logs in as the owner and looks. DDL leaves no trace here that is cheaper to read than a fingerprint. */
export async function look(server: ServerAddress, database: string, owner: Credentials): Promise<Look> {
  const session = await connect(server, { database, as: owner, programName: 'saasctl/look' })
  try {
    const ledger = await applied(session)
    return { applied: ledger.map(({ name }) => name), stamp: null, fingerprint: await fingerprintOf(session) }
  } finally {
    session.leave()
  }
}
