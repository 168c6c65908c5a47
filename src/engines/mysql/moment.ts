import type { Credentials, ServerAddress } from '../engine.js'
import { connect } from './connect.js'
import { describeTables, type MysqlTable } from './export/describe.js'
import { id } from './quote.js'
import type { Session } from './session.js'

/** A transaction that reads only, and sees its tables as they were when it began. */
export interface Moment {
  session: Session
  at: Date
  tables: MysqlTable[]
  end(): void
}

/**
 * Opens the moment. Each table is looked at once, which keeps others from changing its form until it ends. A receiver may be
 * slower than the minute that a server waits by itself. Aborting ends the session.
 */
export async function openMoment(
  server: ServerAddress,
  database: string,
  as: Credentials,
  { signal, programName }: { signal: AbortSignal; programName: string }
): Promise<Moment> {
  signal.throwIfAborted()
  const session = await connect(server, { database, as, programName })
  const abort = () => session.destroy()
  signal.addEventListener('abort', abort, { once: true })
  const end = () => {
    signal.removeEventListener('abort', abort)
    session.destroy()
  }
  try {
    await session.run(`SET SESSION net_write_timeout = 3600, SESSION wait_timeout = 28800
      /*M!100108 , SESSION max_statement_time = 0 */ /*!80000 , SESSION max_execution_time = 0 */`)
    await session.run('SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ')
    await session.run('START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY')
    const [now] = await session.rows<{ at: Date }>('SELECT UTC_TIMESTAMP(3) AS at')
    const tables = await describeTables(session)
    for (const { name } of tables) await session.rows(`SELECT 1 FROM ${id(name)} LIMIT 0`)
    return { session, at: now?.at ?? new Date(), tables, end }
  } catch (error) {
    end()
    signal.throwIfAborted()
    throw error
  }
}
