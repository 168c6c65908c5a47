import {
  CSV_NULL,
  type LineFormat,
  type Masking,
  REDACTED,
  type SnapshotColumn,
  type ValueForm
} from '../../snapshot.js'
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
  const from = `FROM ${table.partitioned ? '' : 'ONLY '}${nameOf(table)}`
  if (columns.some(({ name }) => ruleOf(name, masking) === 'hash')) {
    const write = rowWriter(columns, format, masking)
    return {
      sql: `COPY (SELECT ${columns.map(plain).join(', ')} ${from}) TO STDOUT`,
      rewrite: line => write(valuesOf(line))
    }
  }
  const hidden = ({ name }: SnapshotColumn) => ruleOf(name, masking) === 'redact'
  if (format === 'csv') {
    const shown = columns.map(column => (hidden(column) ? redaction(column) : plain(column)))
    return { sql: `COPY (SELECT ${shown.join(', ')} ${from}) TO STDOUT (FORMAT csv, NULL ${literal(CSV_NULL)})` }
  }
  const members = columns.map((column, index) => {
    const head = literal(`${index === 0 ? '{' : ','}${JSON.stringify(column.name)}:`)
    return `${head}, ${hidden(column) ? inJson({ ...column, form: 'text' }, redaction(column)) : inJson(column, plain(column))}`
  })
  const line = columns.length === 0 ? `'{}'` : joined([...members, `'}'`])
  // In JSON no character below U+0020 stands as it is, so nothing is ever quoted.
  return { sql: `COPY (SELECT ${line} ${from}) TO STDOUT (FORMAT csv, DELIMITER E'\\x01', QUOTE E'\\x02')` }
}

/** A call takes a hundred arguments, of which a column is two. One `concat` of many is faster than `row_to_json` by two fifths. */
function joined(parts: readonly string[]): string {
  if (parts.length <= 45) return `pg_catalog.concat(${parts.join(', ')})`
  const groups = Array.from({ length: Math.ceil(parts.length / 45) }, (_, index) =>
    joined(parts.slice(index * 45, (index + 1) * 45))
  )
  return joined(groups)
}

function ruleOf(name: string, { rules }: Masking) {
  return Object.hasOwn(rules, name) ? rules[name] : undefined
}

function redaction({ name }: SnapshotColumn): string {
  return `CASE WHEN ${id(name)} IS NOT NULL THEN ${literal(REDACTED)} END`
}

/** What keeps its blanks at the end only as what it is. */
const TEXT = /^(?:text|character(?: varying)?(?:\(\d+\))?)$/

/** Forms whose text is what the server sends anyway; of others it may differ, as a boolean's and an address's do. */
const AS_SENT: readonly ValueForm[] = ['integer', 'bigint', 'decimal', 'float', 'date', 'timestamp', 'json']

/** A column as its form has it. */
function plain({ name, form, type }: SnapshotColumn): string {
  const column = id(name)
  // "translate" would take three quarters of all the server's time.
  if (form === 'binary') return `pg_catalog.replace(pg_catalog.encode(${column}, 'base64'), E'\\n', '')`
  return AS_SENT.includes(form) || TEXT.test(type) ? column : `${column}::pg_catalog.text`
}

/** The same as a value of JSON. Numbers and times have nothing in them that JSON would write in another way. */
function inJson({ form }: SnapshotColumn, value: string): string {
  if (form === 'json') return `coalesce(pg_catalog.to_json((${value})::pg_catalog.text), 'null')`
  if (form === 'text') return `coalesce(pg_catalog.to_json(${value}), 'null')`
  if (form === 'integer' || form === 'boolean') return `coalesce((${value})::pg_catalog.text, 'null')`
  return `coalesce('"' OPERATOR(pg_catalog.||) (${value})::pg_catalog.text OPERATOR(pg_catalog.||) '"', 'null')`
}

const escapes: Record<string, string> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v' }

/** The values of one line of COPY's own text format. A table without columns has lines without values. */
export function valuesOf(line: string): Value[] {
  return line.split('\t').map(value => {
    if (value === '\\N') return null
    return value.includes('\\') ? value.replace(/\\(.)/gs, (_, letter: string) => escapes[letter] ?? letter) : value
  })
}
