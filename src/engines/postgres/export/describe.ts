import type { ForeignKey, SnapshotColumn, SnapshotTable, ValueForm } from '../../snapshot.js'
import { SCHEMA } from '../furnish.js'
import { id } from '../quote.js'
import type { Session } from '../session.js'

/** A table with what is needed to read it. A partitioned one is read as a whole, another without those that inherit from it. */
export interface PostgresTable extends SnapshotTable {
  oid: string
  partitioned: boolean
}

/** Schemas of the tenant's own. */
const OWN = `n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', '${SCHEMA}')`
const NOT_FROM_EXTENSION = `NOT EXISTS (SELECT FROM pg_depend e WHERE e.deptype = 'e'
  AND e.classid = 'pg_catalog.pg_class'::regclass AND e.objid = c.oid)`

const forms: Record<string, ValueForm> = {
  int2: 'integer',
  int4: 'integer',
  int8: 'bigint',
  numeric: 'decimal',
  float4: 'float',
  float8: 'float',
  bool: 'boolean',
  date: 'date',
  timestamp: 'timestamp',
  timestamptz: 'timestamp',
  json: 'json',
  jsonb: 'json',
  bytea: 'binary'
}

export const nameOf = ({ space, name }: { space: string | null; name: string }) =>
  `${id(space ?? 'public')}.${id(name)}`

/** The tables of the snapshot, in the order of their names. */
export async function describeTables(session: Session): Promise<PostgresTable[]> {
  const tables = await session.rows<{ oid: string; space: string; name: string; partitioned: boolean }>(
    `SELECT c.oid::text AS oid, n.nspname::text AS space, c.relname::text AS name, c.relkind = 'p' AS partitioned
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND ${OWN} AND ${NOT_FROM_EXTENSION}
     ORDER BY n.nspname COLLATE "C", c.relname COLLATE "C"`
  )
  const oids = tables.map(({ oid }) => oid)
  const [columns, keys] = [await columnsOf(session, oids), await keysOf(session, oids)]
  return tables.map(table => {
    const own = keys.filter(({ oid }) => oid === table.oid)
    return {
      ...table,
      columns: columns.get(table.oid) ?? [],
      primaryKey: own.find(({ kind }) => kind === 'p')?.columns ?? [],
      uniqueKeys: own.filter(({ kind }) => kind === 'u').map(key => key.columns),
      foreignKeys: own.filter(({ kind }) => kind === 'f').map(foreignKey)
    }
  })
}

async function columnsOf(session: Session, oids: string[]): Promise<Map<string, SnapshotColumn[]>> {
  const rows = await session.rows<Omit<SnapshotColumn, 'form'> & { oid: string; base: string }>(
    `WITH RECURSIVE base AS (
       SELECT oid, oid AS base, typtype, typbasetype FROM pg_type
       UNION ALL
       SELECT base.oid, t.oid, t.typtype, t.typbasetype FROM base JOIN pg_type t ON t.oid = base.typbasetype
       WHERE base.typtype = 'd')
     SELECT a.attrelid::text AS oid, a.attname::text AS name, format_type(a.atttypid, a.atttypmod) AS type,
       NOT a.attnotnull AS nullable, a.attgenerated <> '' AS generated,
       CASE WHEN t.typnamespace = 'pg_catalog'::regnamespace THEN t.typname::text ELSE '' END AS base
     FROM pg_attribute a JOIN base ON base.oid = a.atttypid AND base.typtype <> 'd' JOIN pg_type t ON t.oid = base.base
     WHERE a.attrelid = ANY ($1::oid[]) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attrelid, a.attnum`,
    [oids]
  )
  const found = new Map<string, SnapshotColumn[]>()
  for (const { oid, base, ...column } of rows) {
    const own = found.get(oid) ?? []
    own.push({ ...column, form: forms[base] ?? 'text' })
    found.set(oid, own)
  }
  return found
}

interface Key {
  oid: string
  kind: 'p' | 'u' | 'f'
  columns: string[]
  space: string | null
  name: string | null
  references: string[]
}

async function keysOf(session: Session, oids: string[]): Promise<Key[]> {
  const names = (
    relation: string,
    numbers: string
  ) => `ARRAY(SELECT a.attname::text FROM unnest(${numbers}) WITH ORDINALITY AS k (num, place)
    JOIN pg_attribute a ON a.attrelid = ${relation} AND a.attnum = k.num ORDER BY k.place)`
  return await session.rows<Key>(
    `SELECT o.conrelid::text AS oid, o.contype::text AS kind, ${names('o.conrelid', 'o.conkey')} AS columns,
       n.nspname::text AS space, c.relname::text AS name, ${names('o.confrelid', 'o.confkey')} AS references
     FROM pg_constraint o LEFT JOIN pg_class c ON c.oid = o.confrelid LEFT JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE o.conrelid = ANY ($1::oid[]) AND o.contype IN ('p', 'u', 'f') AND o.conparentid = 0
     ORDER BY o.conname COLLATE "C"`,
    [oids]
  )
}

function foreignKey({ columns, space, name, references }: Key): ForeignKey {
  return { columns, table: { space, name: name ?? '' }, references }
}

/** Where each sequence stands; one that was never asked is left out. */
export async function sequencesOf(session: Session): Promise<Record<string, string>> {
  const rows = await session.rows<{ name: string; last: string | null }>(
    `SELECT format('%I.%I', schemaname, sequencename) AS name, last_value::text AS last
     FROM pg_sequences n WHERE ${OWN.replaceAll('n.nspname', 'n.schemaname')} ORDER BY 1`
  )
  return Object.fromEntries(rows.flatMap(({ name, last }) => (last === null ? [] : [[name, last]])))
}

/** What is there and is not exported, in words. */
export async function missingFrom(session: Session): Promise<string[]> {
  const rows = await session.rows<{ kind: string; name: string }>(
    `SELECT c.relkind::text AS kind, format('%I.%I', n.nspname, c.relname) AS name
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('m', 'f') AND ${OWN} AND ${NOT_FROM_EXTENSION} ORDER BY 2`
  )
  const [large] = await session.rows<{ count: number }>('SELECT count(*)::int AS count FROM pg_largeobject_metadata')
  return [
    ...rows.map(({ kind, name }) =>
      kind === 'm'
        ? `The rows of the materialized view ${name}: it is computed from tables that are here.`
        : `The rows of the foreign table ${name}: they are on another server.`
    ),
    ...(large && large.count > 0 ? [`${large.count} large objects: this login may not read them.`] : [])
  ]
}
