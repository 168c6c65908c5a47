import { isUtf8 } from 'node:buffer'
import type { MysqlColumn, MysqlTable } from './export/describe.js'
import { selected } from './export/snapshot.js'
import type { Moment } from './moment.js'
import { id, literal } from './quote.js'
import { ScriptStatements } from './script-statements.js'
import type { Session } from './session.js'

/** Servers take 16 MB in one message or more; the tools write 1 MB. */
const BATCH = 512 * 1024

/**
 * The script of a tool that was told to leave all rows out, with the moment's rows behind each table: for the tools print a
 * FLOAT with six digits of the nine that it may have.
 */
export async function* withExactRows(
  script: AsyncIterable<Buffer>,
  { session, tables }: Moment
): AsyncGenerator<Buffer> {
  let mark = ';'
  for await (const { sql, mark: its } of marked(script)) {
    if (its !== mark) yield Buffer.from(`\nDELIMITER ${its}\n`)
    mark = its
    yield sql
    yield Buffer.from(mark)
    const table = madeBy(sql, tables)
    if (table) yield* insertsOf(session, table)
  }
}

async function* marked(script: AsyncIterable<Buffer>) {
  const statements = new ScriptStatements()
  for await (const chunk of script) yield* statements.take(chunk)
  yield* statements.take(Buffer.from('\n\n'))
}

function madeBy(sql: Buffer, tables: readonly MysqlTable[]): MysqlTable | undefined {
  const made = /^\s*CREATE TABLE `((?:[^`]|``)+)` \(/.exec(sql.subarray(0, 600).toString('utf8'))
  const name = made?.[1]?.replaceAll('``', '`')
  return name === undefined ? undefined : tables.find(table => table.name === name)
}

/** INSERTs as the tool would write them, in its own settings. What the table computes itself is left out. */
async function* insertsOf(session: Session, { name, columns }: MysqlTable): AsyncGenerator<Buffer> {
  const own = columns.filter(({ generated }) => !generated)
  const list = own.map((column, index) => `${selected(column)} AS c${index}`).join(', ') || '1'
  const head = `\nINSERT INTO ${id(name)} (${own.map(column => id(column.name)).join(', ')}) VALUES\n`
  let text = ''
  for await (const rows of session.raw(`SELECT ${list} FROM ${id(name)}`)) {
    for (const row of rows) {
      text += `${text === '' ? head : ',\n'}(${own.map((column, index) => literalOf(row[index], column)).join(',')})`
      if (text.length < BATCH) continue
      yield Buffer.from(`${text};`)
      text = ''
    }
  }
  if (text !== '') yield Buffer.from(`${text};`)
}

function literalOf(value: Buffer | null | undefined, { form, base }: MysqlColumn): string {
  if (!value) return 'NULL'
  if (form === 'binary') return value.length === 0 ? `''` : `0x${value.toString('hex')}`
  if (base === 'bit') return `b'${value.toString('latin1')}'`
  // With an exponent it is a number with a point that floats: minus zero stays what it is.
  if (form === 'float') return value.toString('latin1').replace(/^[^e]+$/, '$&e0')
  if (form === 'integer' || form === 'bigint' || form === 'decimal') return value.toString('latin1')
  return isUtf8(value) ? literal(value.toString('utf8')) : `0x${value.toString('hex')}`
}
