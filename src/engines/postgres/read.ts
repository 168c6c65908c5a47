import type { Credentials, ReadOptions, ServerAddress } from '../engine.js'
import { onlyReads } from '../only-reads.js'
import { connect } from './connect.js'
import { answerOf } from './errors.js'
import type { Session } from './session.js'

/** Runs one statement as a login that may only read, in a transaction that may not write, and logs out. */
export async function read(
  server: ServerAddress,
  database: string,
  as: Credentials,
  sql: string,
  { timeoutMs }: { timeoutMs: number }
): Promise<Array<Record<string, unknown>>> {
  const session = await enter(server, database, as, timeoutMs)
  try {
    return await session.rows(sql)
  } catch (error) {
    throw refusal(error)
  } finally {
    session.leave()
  }
}

/** The same, with the rows in batches. A session whose rows were cut off is destroyed, which ends the statement. */
export async function readRows(
  server: ServerAddress,
  database: string,
  as: Credentials,
  sql: string,
  { timeoutMs, maxRows }: ReadOptions,
  take: (rows: Array<Record<string, unknown>>) => Promise<void>
): Promise<{ rows: number; cut: boolean }> {
  const session = await enter(server, database, as, timeoutMs)
  try {
    return await session.stream(sql, maxRows, take)
  } catch (error) {
    throw refusal(error)
  } finally {
    session.leave()
  }
}

/** Here it is the session that may not write; anywhere else that the server is read-only would be news. */
function refusal(error: unknown): unknown {
  const answer = answerOf(error)
  return answer?.state === '25006' ? onlyReads(answer.said) : error
}

function enter(server: ServerAddress, database: string, as: Credentials, timeoutMs: number): Promise<Session> {
  const settings = {
    search_path: 'public',
    default_transaction_read_only: 'on',
    statement_timeout: String(timeoutMs)
  }
  return connect(server, { database, as, applicationName: 'saasctl/read', settings })
}
