import { Readable } from 'node:stream'
import { checkSameTables } from '../../same-tables.js'
import type { TableRows } from '../../snapshot.js'
import { id, literal } from '../quote.js'
import type { Session } from '../session.js'
import { describeTables, nameOf } from './describe.js'
import { EXPORT_SETTINGS } from './snapshot.js'

/** What stands in the way of rows that come in any order, and how it is put back. */
interface Obstacle {
  away: string
  back: string
}

/** One transaction: whoever is connected sees all rows of before, then all rows of after. */
export async function replaceRows(
  session: Session,
  given: readonly TableRows[],
  sequences: Readonly<Record<string, string>>
): Promise<void> {
  await session.run('BEGIN')
  try {
    for (const [name, value] of Object.entries(EXPORT_SETTINGS)) {
      if (name !== 'row_security') await session.run(`SET LOCAL ${name} = ${literal(value)}`)
    }
    const tables = await describeTables(session)
    checkSameTables(tables, given)
    const obstacles = await obstaclesOf(session)
    for (const { away } of obstacles) await session.run(away)
    if (tables.length > 0) await session.run(`TRUNCATE ${tables.map(nameOf).join(', ')}`)
    for (const rows of given) await load(session, rows)
    for (const { back } of obstacles) await session.run(back)
    for (const [name, last] of Object.entries(sequences)) {
      await session.rows('SELECT pg_catalog.setval($1::regclass, $2)', [name, last])
    }
    await session.run('COMMIT')
  } catch (error) {
    await session.rollback().catch(() => {})
    throw error
  }
}

/** Foreign keys go and come back checked; triggers of the tenant's own sleep meanwhile. */
async function obstaclesOf(session: Session): Promise<Obstacle[]> {
  return await session.rows<Obstacle>(
    `SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname) AS away,
       format('ALTER TABLE %s ADD CONSTRAINT %I %s', conrelid::regclass, conname, pg_get_constraintdef(oid)) AS back
     FROM pg_constraint WHERE contype = 'f' AND conparentid = 0
     UNION ALL
     SELECT format('ALTER TABLE %s DISABLE TRIGGER %I', tgrelid::regclass, tgname),
       format('ALTER TABLE %s ENABLE %s TRIGGER %I', tgrelid::regclass,
         CASE tgenabled WHEN 'R' THEN 'REPLICA' WHEN 'A' THEN 'ALWAYS' ELSE '' END, tgname)
     FROM pg_trigger WHERE NOT tgisinternal AND tgparentid = 0 AND tgenabled <> 'D'`
  )
}

async function load(session: Session, { table, columns, rows }: TableRows): Promise<void> {
  const names = columns.map(({ name }) => id(name))
  const list = names.length === 0 ? '' : `(${names.join(', ')})`
  const bytes = columns.map(({ form }) => form === 'binary')
  await session.copyIn(`COPY ${nameOf(table)} ${list} FROM STDIN`, Readable.from(lines(rows, bytes)))
}

async function* lines(rows: TableRows['rows'], bytes: boolean[]): AsyncGenerator<string> {
  let text = ''
  for await (const values of rows) {
    text += `${values.map((value, index) => copyValue(value, bytes[index] ?? false)).join('\t')}\n`
    if (text.length < 256 * 1024) continue
    yield text
    text = ''
  }
  if (text !== '') yield text
}

const escapes: Record<string, string> = { '\b': 'b', '\f': 'f', '\n': 'n', '\r': 'r', '\t': 't', '\v': 'v', '\\': '\\' }

function copyValue(value: string | null, bytes: boolean): string {
  if (value === null) return '\\N'
  if (bytes) return `\\\\x${Buffer.from(value, 'base64').toString('hex')}`
  return value.replace(/[\b\f\n\r\t\v\\]/g, letter => `\\${escapes[letter]}`)
}
