import type { Credentials, ReadOptions, ServerAddress } from '../engine.js'
import { onlyReads } from '../only-reads.js'
import { connect } from './connect.js'
import { answerOf } from './errors.js'
import type { Session } from './session.js'

/** Runs one statement as a login that may only read, in a session that may not write, and logs out. */
export async function read(
  server: ServerAddress,
  database: string,
  as: Credentials,
  sql: string,
  { timeoutMs }: { timeoutMs: number }
): Promise<Array<Record<string, unknown>>> {
  const session = await connect(server, { database, as, programName: 'saasctl/read' })
  try {
    await bound(session, timeoutMs)
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
  const session = await connect(server, { database, as, programName: 'saasctl/read' })
  try {
    await bound(session, timeoutMs)
    return await session.stream(sql, maxRows, take)
  } catch (error) {
    throw refusal(error)
  } finally {
    session.leave()
  }
}

/** The session may not write; where the login may not either, the server says that first. */
function refusal(error: unknown): unknown {
  const answer = answerOf(error)
  const writes = answer?.state === '1792' || (answer?.state === '1142' && !/^(SELECT|SHOW VIEW) /i.test(answer.said))
  return writes ? onlyReads(answer.said) : error
}

async function bound(session: Session, timeoutMs: number): Promise<void> {
  await session.run('SET SESSION TRANSACTION READ ONLY')
  // Each server reads its own comment, and only its own.
  await session.run(
    `SET SESSION autocommit = 1 /*M!100108 , max_statement_time = ${timeoutMs / 1000} */ /*!80000 , max_execution_time = ${timeoutMs} */`
  )
}
