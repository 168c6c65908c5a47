import { checkSameTables } from '../../same-tables.js'
import type { TableRows } from '../../snapshot.js'
import { id, literal } from '../quote.js'
import type { Session } from '../session.js'
import { readTriggers } from '../snapshot.js'
import { describeTables, type MysqlColumn } from './describe.js'

/** A server takes 16 MB in one message or more; a row that is longer than this is a message of its own. */
const BATCH = 512 * 1024

/** Zero is a value, and so is a date that no calendar has: what a row had is what it gets. */
const MODE = 'STRICT_TRANS_TABLES,NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES'

/**
 * One transaction for the rows; triggers are dropped before and made again after it, because MySQL cannot put them to sleep.
 * What fails between leaves a database without them, whose fingerprint says so.
 */
export async function replaceRows(
  session: Session,
  given: readonly TableRows[],
  sequences: Readonly<Record<string, string>>
): Promise<void> {
  const tables = await describeTables(session)
  checkSameTables(tables, given)
  const [before] = await session.rows<{ mode: string }>('SELECT @@SESSION.sql_mode AS mode')
  const setMode = (mode: string) => session.run(`SET SESSION sql_mode = ${literal(mode)}`)
  const triggers = await readTriggers(session, session.place.database)
  for (const { name } of triggers) await session.run(`DROP TRIGGER IF EXISTS ${id(name)}`)
  try {
    await setMode(MODE)
    await session.run('SET SESSION foreign_key_checks = 0, SESSION unique_checks = 0')
    await session.run('START TRANSACTION')
    for (const { name } of tables) await session.run(`DELETE FROM ${id(name)}`)
    for (const rows of given) {
      const own = tables.find(({ name }) => name === rows.table.name)?.columns ?? []
      await load(session, rows, own)
    }
    await session.run('COMMIT')
    for (const [name, next] of Object.entries(sequences))
      await session.run(`ALTER SEQUENCE ${id(name)} RESTART ${BigInt(next)}`)
  } catch (error) {
    await session.rollback().catch(() => {})
    throw error
  } finally {
    for (const { sql, mode } of triggers) {
      if (mode !== undefined) await setMode(mode)
      await session.run(sql)
    }
    await setMode(before?.mode ?? '')
    await session.run('SET SESSION foreign_key_checks = 1, SESSION unique_checks = 1')
  }
}

async function load(session: Session, { table, columns, rows }: TableRows, own: MysqlColumn[]): Promise<void> {
  const bases = columns.map(({ name }) => own.find(column => column.name === name))
  const head = `INSERT INTO ${id(table.name)} (${columns.map(({ name }) => id(name)).join(', ')}) VALUES `
  let batch = ''
  for await (const values of rows) {
    const tuple = `(${values.map((value, index) => literalOf(value, bases[index])).join(',')})`
    if (batch !== '' && batch.length + tuple.length > BATCH) {
      await session.run(head + batch)
      batch = ''
    }
    batch += batch === '' ? tuple : `,${tuple}`
  }
  if (batch !== '') await session.run(head + batch)
}

function literalOf(value: string | null, column: MysqlColumn | undefined): string {
  if (value === null) return 'NULL'
  if (column?.form === 'binary') return `X'${Buffer.from(value, 'base64').toString('hex')}'`
  return column?.base === 'bit' ? `b'${value.replace(/[^01]/g, '')}'` : literal(value)
}
