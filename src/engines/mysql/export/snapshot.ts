import { isUtf8 } from 'node:buffer'
import { SaasctlError } from '../../../errors.js'
import type { Credentials, ServerAddress } from '../../engine.js'
import type { Lines, Snapshot, SnapshotOptions } from '../../snapshot.js'
import { exportedColumns, rowWriter, type Value } from '../../write-rows.js'
import { openMoment } from '../moment.js'
import { id } from '../quote.js'
import type { Session } from '../session.js'
import { isTransactional, type MysqlColumn, type MysqlTable } from './describe.js'

/** What is written at once; a row of its own is as long as it is. */
const PIECE = 256 * 1024

/** Opens the moment of an export, as the read-only login. */
export async function openSnapshot(
  server: ServerAddress,
  database: string,
  as: Credentials,
  { signal }: SnapshotOptions
): Promise<Snapshot> {
  const { session, at, tables, end } = await openMoment(server, database, as, { signal, programName: 'saasctl/export' })
  try {
    return {
      position: await positionOf(session),
      handle: null,
      at,
      serverVersion: session.version,
      tables,
      missing: tables
        .filter(table => !isTransactional(table))
        .map(({ name, engine }) => `${name} is a table of ${engine}: its rows are those of when they were read.`),
      sequences: await sequencesOf(session),
      lines: (table, format, masking) => {
        const columns = exportedColumns(table.columns, masking) as MysqlColumn[]
        return linesOf(session, table as MysqlTable, columns, rowWriter(columns, format, masking))
      },
      end: async () => end()
    }
  } catch (error) {
    end()
    signal.throwIfAborted()
    throw error
  }
}

/** Where the binary log stood at the moment; null where there is none, or this login may not see it. */
async function positionOf(session: Session): Promise<string | null> {
  try {
    if (session.flavour === 'mariadb') {
      const rows = await session.rows<{ Variable_name: string; Value: string }>(`SHOW STATUS LIKE 'binlog_snapshot_%'`)
      const value = (name: string) =>
        rows.find(row => row.Variable_name.toLowerCase() === `binlog_snapshot_${name}`)?.Value
      return value('file') ? `binlog ${value('file')} ${value('position')}` : null
    }
    const [row] = await session.rows<{ gtid: string }>('SELECT @@global.gtid_executed AS gtid')
    return row?.gtid ? `gtid ${row.gtid.replace(/\s/g, '')}` : null
  } catch {
    return null
  }
}

/** MariaDB's own sequences; MySQL has none. */
async function sequencesOf(session: Session): Promise<Record<string, string>> {
  const rows = await session.rows<{ name: string }>(
    `SELECT TABLE_NAME AS name FROM information_schema.TABLES WHERE TABLE_SCHEMA = ? AND TABLE_TYPE = 'SEQUENCE'`,
    [session.place.database]
  )
  const found: Record<string, string> = {}
  for (const { name } of rows) {
    const [row] = await session.rows<{ next: string }>(
      `SELECT CAST(next_not_cached_value AS CHAR) AS next FROM ${id(name)}`
    )
    if (row) found[name] = row.next
  }
  return found
}

function linesOf(
  session: Session,
  table: MysqlTable,
  columns: MysqlColumn[],
  write: (values: readonly Value[]) => string
): Lines {
  let rows = 0
  async function* read(): AsyncGenerator<Buffer> {
    const readers = columns.map(column => readerOf(table.name, column))
    let text = ''
    // The driver writes a program with the names of the columns in it, and never answers when one has a line break.
    const list = columns.map((column, index) => `${selected(column)} AS c${index}`).join(', ')
    for await (const batch of session.raw(`SELECT ${list} FROM ${id(table.name)}`)) {
      for (const row of batch) {
        const values = readers.map((reader, index) => {
          const value = row[index]
          return value ? reader(value) : null
        })
        text += write(values)
        rows += 1
        if (text.length < PIECE) continue
        yield Buffer.from(text)
        text = ''
      }
    }
    if (text !== '') yield Buffer.from(text)
  }
  return { stream: read(), rows: () => rows }
}

/** A FLOAT prints six digits only; as a DOUBLE it prints all that it has. Bits are written out as 0 and 1. */
export function selected({ name, base, bits }: MysqlColumn): string {
  if (base === 'float') return `CAST(${id(name)} AS DOUBLE)`
  return base === 'bit' ? `LPAD(BIN(${id(name)}), ${bits}, '0')` : id(name)
}

function readerOf(table: string, { name, form }: MysqlColumn): (value: Buffer) => string {
  if (form === 'binary') return value => value.toString('base64')
  if (form !== 'text' && form !== 'json') return value => value.toString('latin1')
  return value => {
    if (isUtf8(value)) return value.toString('utf8')
    throw new SaasctlError('SERVER_FAILED', `A value of ${table}.${name} is not the text that its column says it is.`, {
      hint: 'Make it a column of bytes (VARBINARY or BLOB), or mend the value; then export again.'
    })
  }
}
