import { CSV_NULL, type LineFormat, type Masking, REDACTED, type SnapshotColumn } from '../../snapshot.js'
import { exportedColumns, rowWriter, type Value } from '../../write-rows.js'
import { id, literal } from '../quote.js'
import { nameOf, type PostgresTable } from './describe.js'

/** A COPY statement, and what is to be done with its lines. */
export interface Copy {
  sql: string
  /** Absent where the server writes the lines as they are to be. */
  rewrite?: (line: string) => string
}

/**
 * The server writes JSON and CSV itself, which is four times as fast as reading rows here; a table with hashes is written here,
 * because the key must not stand in a statement.
 */
export function copyOf(table: PostgresTable, format: LineFormat, masking: Masking): Copy {
  const columns = exportedColumns(table.columns, masking)
  const hashed = columns.some(({ name }) => ruleOf(name, masking) === 'hash')
  const asJson = format === 'jsonl' && !hashed
  const shown = columns.map(column => {
    const redacted = !hashed && ruleOf(column.name, masking) === 'redact'
    return `${redacted ? redaction(column) : shownAs(column, asJson)} AS ${id(column.name)}`
  })
  const select = `SELECT ${shown.join(', ')} FROM ${table.partitioned ? '' : 'ONLY '}${nameOf(table)}`
  if (hashed) {
    const write = rowWriter(columns, format, masking)
    return { sql: `COPY (${select}) TO STDOUT`, rewrite: line => write(valuesOf(line)) }
  }
  if (format === 'csv') return { sql: `COPY (${select}) TO STDOUT (FORMAT csv, NULL ${literal(CSV_NULL)})` }
  // In JSON no character below U+0020 stands as it is, so nothing is ever quoted. "x.*", for a column may be called x.
  return {
    sql: `COPY (SELECT pg_catalog.row_to_json(x.*) FROM (${select}) x) TO STDOUT (FORMAT csv, DELIMITER E'\\x01', QUOTE E'\\x02')`
  }
}

function ruleOf(name: string, { rules }: Masking) {
  return Object.hasOwn(rules, name) ? rules[name] : undefined
}

function redaction({ name }: SnapshotColumn): string {
  return `CASE WHEN ${id(name)} IS NOT NULL THEN ${literal(REDACTED)} END`
}

/** What keeps its blanks at the end only as what it is. */
const TEXT = /^(?:text|character(?: varying)?(?:\(\d+\))?)$/

/** A column as its form has it. */
function shownAs({ name, form, type }: SnapshotColumn, asJson: boolean): string {
  const column = id(name)
  if (form === 'binary') return `pg_catalog.translate(pg_catalog.encode(${column}, 'base64'), E'\\n', '')`
  if (form === 'integer' || TEXT.test(type) || (form === 'boolean' && asJson)) return column
  return `${column}::pg_catalog.text`
}

const escapes: Record<string, string> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v' }

/** The values of one line of COPY's own text format. A table without columns has lines without values. */
export function valuesOf(line: string): Value[] {
  return line.split('\t').map(value => {
    if (value === '\\N') return null
    return value.includes('\\') ? value.replace(/\\(.)/gs, (_, letter: string) => escapes[letter] ?? letter) : value
  })
}
