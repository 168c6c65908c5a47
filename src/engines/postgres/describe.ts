import type { Credentials, Schema, ServerAddress } from '../engine.js'
import { connect } from './connect.js'
import { factsOf, fingerprintOf } from './fingerprint.js'
import { applied } from './ledger.js'

/** Logs in as the owner, looks at the system's tables and its ledger, and logs out. */
export async function describe(
  server: ServerAddress,
  database: string,
  owner: Credentials,
  known?: string | null
): Promise<Schema> {
  const settings = { default_transaction_read_only: 'on' }
  const session = await connect(server, { database, as: owner, applicationName: 'saasctl/describe', settings })
  try {
    const fingerprint = await fingerprintOf(session)
    const facts = fingerprint === known ? [] : await factsOf(session)
    return { fingerprint, facts, applied: await applied(session) }
  } finally {
    session.leave()
  }
}
