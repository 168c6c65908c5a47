import {
  CSV_NULL,
  type LineFormat,
  type Masking,
  type SnapshotColumn,
  type SnapshotTable,
  type ValueForm
} from '../engines/snapshot.js'
import { csvHead, exportedColumns } from '../engines/write-rows.js'
import type { Written } from './pack.js'

/** Table Schema's words for our forms. A number that JSON would round stands there as text. */
const types: Record<ValueForm, { type: string; format?: string }> = {
  integer: { type: 'integer' },
  bigint: { type: 'integer' },
  decimal: { type: 'number' },
  float: { type: 'number' },
  boolean: { type: 'boolean' },
  date: { type: 'date', format: 'any' },
  timestamp: { type: 'datetime', format: 'any' },
  json: { type: 'any' },
  binary: { type: 'string', format: 'binary' },
  text: { type: 'string' }
}

/** One table in one format, as `datapackage.json` lists it. */
export interface Resource {
  name: string
  path: string | string[]
  format: LineFormat
  mediatype: string
  encoding: 'utf-8'
  bytes: number
  hash?: string
  schema: object
  /** What `export import` reads: the server's own description. */
  saasctl: { space: string | null; table: string; rows: number; columns: SnapshotColumn[] }
}

export interface ResourceParts {
  table: SnapshotTable
  format: LineFormat
  masking: Masking
  rows: number
  parts: Array<Written & { path: string }>
  /** The resource names of the tables, for foreign keys. */
  names: ReadonlyMap<SnapshotTable, string>
}

export function resourceOf({ table, format, masking, rows, parts, names }: ResourceParts): Resource {
  const [only] = parts
  return {
    name: `${names.get(table)}-${format}`,
    path: parts.length === 1 && only ? only.path : parts.map(({ path }) => path),
    format,
    mediatype: format === 'csv' ? 'text/csv' : 'application/jsonl',
    encoding: 'utf-8',
    bytes: parts.reduce((sum, { bytes }) => sum + bytes, 0),
    // A file in several parts has a hash for each of them in the manifest.
    ...(parts.length === 1 && only && { hash: `sha512:${only.sha512}` }),
    schema: schemaOf(table, format, masking, names),
    saasctl: { space: table.space, table: table.name, rows, columns: exportedColumns(table.columns, masking) }
  }
}

function schemaOf(table: SnapshotTable, format: LineFormat, masking: Masking, names: ResourceParts['names']): object {
  const columns = exportedColumns(table.columns, masking)
  const has = (wanted: string[]) => wanted.every(name => columns.some(column => column.name === name))
  return {
    fields: columns.map(column => fieldOf(column, masking)),
    missingValues: format === 'csv' ? [CSV_NULL] : [],
    ...(table.primaryKey.length > 0 && has(table.primaryKey) && { primaryKey: table.primaryKey }),
    uniqueKeys: table.uniqueKeys.filter(has),
    foreignKeys: table.foreignKeys
      .filter(({ columns }) => has(columns))
      .flatMap(({ columns, table: to, references }) => {
        const target = [...names.keys()].find(({ space, name }) => space === to.space && name === to.name)
        if (!target) return []
        const resource = target === table ? '' : `${names.get(target)}-${format}`
        return [{ fields: columns, reference: { resource, fields: references } }]
      })
  }
}

function fieldOf({ name, type, form, nullable, generated }: SnapshotColumn, { rules }: Masking): object {
  const rule = Object.hasOwn(rules, name) ? rules[name] : undefined
  return {
    name,
    ...(rule ? { type: 'string' } : types[form]),
    constraints: { required: !nullable },
    'x-sql-type': type,
    ...(generated && { 'x-generated': true }),
    ...(rule && { 'x-masked': rule })
  }
}

/**
 * A file name for each table: its own where that is safe on every system, `_xx` for what is not, and a number where two
 * would differ in case alone. None has a dash in it, which numbers the parts of a file.
 */
export function fileNames(tables: readonly SnapshotTable[]): Map<SnapshotTable, string> {
  const taken = new Set<string>()
  const names = new Map<SnapshotTable, string>()
  for (const table of tables) {
    const whole = table.space === null || table.space === 'public' ? table.name : `${table.space}.${table.name}`
    // A manifest's line and a Data Package's path take no %, and two dots lead upwards.
    const safe = Buffer.from(whole)
      .toString('latin1')
      .replace(/[^A-Za-z0-9_.]/g, letter => `_${letter.charCodeAt(0).toString(16).padStart(2, '0')}`)
      .replace(/^\.+|\.+$|\.{2,}/g, '_')
      .slice(0, 150)
    let name = safe
    for (let count = 2; taken.has(name.toLowerCase()); count += 1) name = `${safe}_${count}`
    taken.add(name.toLowerCase())
    names.set(table, name)
  }
  return names
}

/** The lines of a table with what stands in front of them. */
export async function* withHead(
  table: SnapshotTable,
  format: LineFormat,
  masking: Masking,
  lines: AsyncIterable<Buffer>
): AsyncGenerator<Buffer> {
  if (format === 'csv') yield Buffer.from(csvHead(exportedColumns(table.columns, masking)))
  yield* lines
}
