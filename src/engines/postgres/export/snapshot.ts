import { asSaasctlError, SaasctlError } from '../../../errors.js'
import type { Credentials, ServerAddress } from '../../engine.js'
import type { Lines, Snapshot, SnapshotOptions } from '../../snapshot.js'
import { connect } from '../connect.js'
import { answerOf } from '../errors.js'
import type { Session } from '../session.js'
import { type Copy, copyOf } from './copy.js'
import { describeTables, missingFrom, nameOf, type PostgresTable, sequencesOf } from './describe.js'

/** Texts of values do not depend on how a server or a role is set; and limits made for an application are not for this. */
export const EXPORT_SETTINGS = {
  DateStyle: 'ISO,YMD',
  IntervalStyle: 'postgres',
  TimeZone: 'UTC',
  bytea_output: 'hex',
  extra_float_digits: '3',
  lc_monetary: 'C',
  xmloption: 'content',
  // A policy that hides rows is an error, not a smaller export.
  row_security: 'off',
  statement_timeout: '0',
  idle_in_transaction_session_timeout: '0',
  lock_timeout: '10s'
}

/** Opens the moment: a transaction that reads only, with a lock on each table against whoever would change its form. */
export async function openSnapshot(
  server: ServerAddress,
  database: string,
  as: Credentials,
  { signal }: SnapshotOptions
): Promise<Snapshot> {
  signal.throwIfAborted()
  const session = await connect(server, { database, as, applicationName: 'saasctl/export', settings: EXPORT_SETTINGS })
  const abort = () => session.destroy()
  signal.addEventListener('abort', abort, { once: true })
  try {
    await session.run('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY')
    const moment = await momentOf(session)
    const tables = await describeTables(session)
    for (let from = 0; from < tables.length; from += 100) {
      await session.run(
        `LOCK TABLE ${tables
          .slice(from, from + 100)
          .map(nameOf)
          .join(', ')} IN ACCESS SHARE MODE`
      )
    }
    return {
      ...moment,
      serverVersion: session.version,
      tables,
      missing: await missingFrom(session),
      sequences: await sequencesOf(session),
      lines: (table, format, masking) =>
        linesOf(session, table as PostgresTable, copyOf(table as PostgresTable, format, masking)),
      end: async () => {
        signal.removeEventListener('abort', abort)
        // Nothing was written: there is nothing to commit, and nobody waits for a goodbye.
        session.destroy()
      }
    }
  } catch (error) {
    session.destroy()
    signal.removeEventListener('abort', abort)
    signal.throwIfAborted()
    throw error
  }
}

async function momentOf(session: Session): Promise<{ position: string; at: Date; handle: string | null }> {
  const [row] = await session.rows<{ position: string; at: Date; handle: string | null }>(
    `SELECT 'lsn ' || CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END
       || ' snapshot ' || pg_current_snapshot() AS position, clock_timestamp() AS at,
       CASE WHEN NOT pg_is_in_recovery() THEN pg_export_snapshot() END AS handle`
  )
  if (!row) throw new SaasctlError('SERVER_FAILED', 'The server did not say at which moment it stands.')
  return row
}

function linesOf(session: Session, table: PostgresTable, { sql, rewrite }: Copy): Lines {
  let rows = 0
  async function* read(): AsyncGenerator<Buffer> {
    const copy = session.copyPieces(sql, count => {
      rows = count
    })
    try {
      yield* rewrite ? rewritten(copy, rewrite) : copy
    } catch (error) {
      throw explained(error, table)
    }
  }
  return { stream: read(), rows: () => rows }
}

async function* rewritten(stream: AsyncIterable<Buffer>, rewrite: (line: string) => string): AsyncGenerator<Buffer> {
  let rest: Buffer[] = []
  for await (const piece of stream) {
    const end = piece.lastIndexOf(10)
    if (end < 0) {
      rest.push(piece)
      continue
    }
    const lines = Buffer.concat([...rest, piece.subarray(0, end)]).toString('utf8')
    rest = [piece.subarray(end + 1)]
    yield Buffer.from(lines.split('\n').map(rewrite).join(''))
  }
}

function explained(thrown: unknown, table: PostgresTable): SaasctlError {
  const error = asSaasctlError(thrown)
  if (!/row-level security/.test(answerOf(error)?.said ?? '')) return error
  return new SaasctlError(
    'SERVER_RIGHTS',
    `Row-level security hides rows of ${nameOf(table)} from the read-only login.`,
    {
      hint: 'An export without them would not be whole: let that login see them, with "alter role … bypassrls" as a superuser.',
      cause: error
    }
  )
}
