import type { ForeignKey, SnapshotColumn, SnapshotTable, ValueForm } from '../../snapshot.js'
import type { Session } from '../session.js'

export interface MysqlColumn extends SnapshotColumn {
  /** `DATA_TYPE`: without length, sign and values. */
  base: string
  bits: number
}

export interface MysqlTable extends SnapshotTable {
  columns: MysqlColumn[]
  engine: string
}

const forms: Record<string, ValueForm> = {
  tinyint: 'integer',
  smallint: 'integer',
  mediumint: 'integer',
  int: 'integer',
  year: 'integer',
  bigint: 'bigint',
  decimal: 'decimal',
  float: 'float',
  double: 'float',
  date: 'date',
  datetime: 'timestamp',
  timestamp: 'timestamp',
  json: 'json'
}
const BYTES =
  /^(?:binary|varbinary|(?:tiny|medium|long)?blob|geometry|point|linestring|polygon|multi\w+|geom\w*collection)$/

/** Tables whose rows no transaction keeps as they were. */
export const isTransactional = ({ engine }: MysqlTable) => /^(?:InnoDB|ROCKSDB|TokuDB)$/i.test(engine)

export async function describeTables(session: Session): Promise<MysqlTable[]> {
  const { database } = session.place
  const tables = await session.rows<{ name: string; engine: string | null }>(
    `SELECT TABLE_NAME AS name, ENGINE AS engine FROM information_schema.TABLES
     WHERE TABLE_SCHEMA = ? AND TABLE_TYPE = 'BASE TABLE' ORDER BY TABLE_NAME`,
    [database]
  )
  const columns = await columnsOf(session, database)
  const keys = await keysOf(session, database)
  return tables
    .map(({ name, engine }) => {
      const own = keys.filter(key => key.table === name)
      const unique = own.filter(({ references }) => references === null)
      return {
        space: null,
        name,
        engine: engine ?? '',
        columns: columns.get(name) ?? [],
        primaryKey: unique.find(key => key.name === 'PRIMARY')?.columns ?? [],
        uniqueKeys: unique.filter(key => key.name !== 'PRIMARY').map(key => key.columns),
        foreignKeys: own.filter(({ references }) => references !== null).map(foreignKey)
      }
    })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
}

async function columnsOf(session: Session, database: string): Promise<Map<string, MysqlColumn[]>> {
  const rows = await session.rows<Record<'table' | 'name' | 'base' | 'type' | 'nullable' | 'generated', string>>(
    `SELECT TABLE_NAME AS \`table\`, COLUMN_NAME AS name, LOWER(DATA_TYPE) AS base, COLUMN_TYPE AS type,
       IS_NULLABLE AS nullable, COALESCE(GENERATION_EXPRESSION, '') AS \`generated\`
     FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ? ORDER BY TABLE_NAME, ORDINAL_POSITION`,
    [database]
  )
  const found = new Map<string, MysqlColumn[]>()
  for (const { table, name, base, type, nullable, generated } of rows) {
    const form = BYTES.test(base) ? 'binary' : (forms[base] ?? 'text')
    // An unsigned int is within 32 bits and within what every reader of JSON takes.
    const column = { name, type, form, nullable: nullable === 'YES', generated: generated !== '', base }
    const bits = base === 'bit' ? Number(/\d+/.exec(type)?.[0] ?? 1) : 0
    found.set(table, [...(found.get(table) ?? []), { ...column, bits }])
  }
  return found
}

interface Key {
  table: string
  name: string
  columns: string[]
  references: { table: string; columns: string[] } | null
}

async function keysOf(session: Session, database: string): Promise<Key[]> {
  const rows = await session.rows<
    Record<'table' | 'name' | 'column', string> & Record<'toTable' | 'toColumn', string | null>
  >(
    `SELECT TABLE_NAME AS \`table\`, CONSTRAINT_NAME AS name, COLUMN_NAME AS \`column\`,
       REFERENCED_TABLE_NAME AS toTable, REFERENCED_COLUMN_NAME AS toColumn
     FROM information_schema.KEY_COLUMN_USAGE WHERE TABLE_SCHEMA = ? ORDER BY TABLE_NAME, CONSTRAINT_NAME, ORDINAL_POSITION`,
    [database]
  )
  const found = new Map<string, Key>()
  for (const { table, name, column, toTable, toColumn } of rows) {
    const place = JSON.stringify([table, name])
    const key = found.get(place) ?? {
      table,
      name,
      columns: [],
      references: toTable === null ? null : { table: toTable, columns: [] }
    }
    key.columns.push(column)
    if (toColumn !== null) key.references?.columns.push(toColumn)
    found.set(place, key)
  }
  return [...found.values()]
}

function foreignKey({ columns, references }: Key): ForeignKey {
  return { columns, table: { space: null, name: references?.table ?? '' }, references: references?.columns ?? [] }
}
