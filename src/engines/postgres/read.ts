import type { Credentials, ServerAddress } from '../engine.js'
import { connect } from './connect.js'

/** Runs one statement as a login that may only read, in a transaction that may not write, and logs out. */
export async function read(
  server: ServerAddress,
  database: string,
  as: Credentials,
  sql: string,
  { timeoutMs }: { timeoutMs: number }
): Promise<Array<Record<string, unknown>>> {
  const settings = {
    search_path: 'public',
    default_transaction_read_only: 'on',
    statement_timeout: String(timeoutMs)
  }
  const session = await connect(server, { database, as, applicationName: 'saasctl/read', settings })
  try {
    return await session.rows(sql)
  } finally {
    session.leave()
  }
}
