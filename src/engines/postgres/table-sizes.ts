import type { Credentials, ServerAddress } from '../engine.js'
import { literal } from './quote.js'
import { read } from './read.js'

/** How much disk each of the tables takes, indexes and partitions included. A name that is no table has no size. */
export async function tableSizes(
  server: ServerAddress,
  database: string,
  as: Credentials,
  tables: string[]
): Promise<Map<string, number>> {
  if (tables.length === 0) return new Map()
  const names = tables.map(table => `(${literal(table)})`).join(', ')
  const rows = await read(
    server,
    database,
    as,
    `SELECT t.name, coalesce((SELECT sum(pg_catalog.pg_total_relation_size(p.relid)) FROM pg_catalog.pg_partition_tree(t.oid) p),
       pg_catalog.pg_total_relation_size(t.oid))::text AS bytes
     FROM (SELECT name, pg_catalog.to_regclass((SELECT string_agg(pg_catalog.quote_ident(part), '.' ORDER BY n)
       FROM pg_catalog.string_to_table(name, '.') WITH ORDINALITY AS s (part, n))) AS oid
       FROM (VALUES ${names}) v (name)) t WHERE t.oid IS NOT NULL`,
    { timeoutMs: 10_000 }
  )
  return new Map(rows.map(({ name, bytes }) => [String(name), Number(bytes)]))
}
