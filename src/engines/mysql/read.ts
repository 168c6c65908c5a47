import type { Credentials, ServerAddress } from '../engine.js'
import { connect } from './connect.js'

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
    await session.run('SET SESSION TRANSACTION READ ONLY')
    // Each server reads its own comment, and only its own.
    await session.run(
      `SET SESSION autocommit = 1 /*M!100108 , max_statement_time = ${timeoutMs / 1000} */ /*!80000 , max_execution_time = ${timeoutMs} */`
    )
    return await session.rows(sql)
  } finally {
    session.leave()
  }
}
