import { SaasctlError } from '../../errors.js'
import { id } from './quote.js'
import type { Session } from './session.js'

interface Column {
  name: string
  type: string
}

/** Servers take 16 MB in one message or more; one half of that is far enough from it. */
const BATCH_CHARACTERS = 512 * 1024

const NUMBERS = ['tinyint', 'smallint', 'mediumint', 'int', 'bigint', 'decimal', 'year']
const FRACTIONS = ['float', 'double']
const BYTES =
  /^(?:bit|binary|varbinary|(?:tiny|medium|long)?blob|geometry|point|linestring|polygon|multi\w+|geom\w*collection)$/

/** INSERT statements of a table's rows, without what the table computes itself. */
export async function rowsOf(session: Session, database: string, table: string): Promise<string[]> {
  const columns = await session.rows<Column>(
    `SELECT COLUMN_NAME AS name, DATA_TYPE AS type FROM information_schema.COLUMNS
     WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? AND COALESCE(GENERATION_EXPRESSION, '') = '' ORDER BY ORDINAL_POSITION`,
    [database, table]
  )
  const tuple = columns.map(literalOf).join(`, ',', `)
  const rows = await session.rows<{ tuple: string | null }>(
    `SELECT CONCAT('(', ${tuple}, ')') AS tuple FROM ${id(database)}.${id(table)}`
  )
  const head = `INSERT INTO ${id(table)} (${columns.map(({ name }) => id(name)).join(', ')}) VALUES `
  return batches(rows.map(({ tuple }) => whole(tuple, table))).map(batch => head + batch.join(','))
}

/** CONCAT gives NULL for what is longer than a message may be. */
function whole(tuple: string | null, table: string): string {
  if (tuple !== null) return tuple
  throw new SaasctlError('SERVER_FAILED', `A row of table ${table} of a template is too long to be copied.`, {
    hint: 'Raise max_allowed_packet on the server, or take the row out of the template’s seed.'
  })
}

/** An expression that gives a value as a literal: in hexadecimal, so that no quoting and no character set can hurt it. */
function literalOf({ name, type }: Column): string {
  const column = id(name)
  if (NUMBERS.includes(type)) return `IFNULL(CAST(${column} AS CHAR), 'NULL')`
  // A FLOAT prints six digits only; as a DOUBLE it prints all that it has.
  if (FRACTIONS.includes(type)) return `IFNULL(CAST(${column} + 0e0 AS CHAR), 'NULL')`
  const [introducer, text] = BYTES.test(type) ? ['', column] : ['_utf8mb4 ', `CONVERT(${column} USING utf8mb4)`]
  return `CASE WHEN ${column} IS NULL THEN 'NULL' WHEN LENGTH(${column}) = 0 THEN '\\'\\''
    ELSE CONCAT('${introducer}0x', HEX(${text})) END`
}

function batches(tuples: string[]): string[][] {
  const found: string[][] = []
  let room = 0
  for (const tuple of tuples) {
    const batch = found.at(-1)
    if (batch && tuple.length <= room) batch.push(tuple)
    else found.push([tuple])
    room = (batch && tuple.length <= room ? room : BATCH_CHARACTERS) - tuple.length
  }
  return found
}
