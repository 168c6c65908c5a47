import { SCHEMA } from './furnish.js'
import { literal } from './quote.js'
import type { Session } from './session.js'

/**
 * Tables whose rows a dump carries: partitions and not what they are parts of, and none that an extension made. Large
 * objects are counted as the rows of their own table, where there are any.
 */
const TABLES = `
  SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) AS name, n.nspname::text AS space, c.relname::text AS table
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind = 'r' AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', '${SCHEMA}')
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.deptype = 'e'
      AND d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid)
  UNION ALL
  SELECT 'pg_catalog.pg_largeobject_metadata', 'pg_catalog', 'pg_largeobject_metadata'
  WHERE EXISTS (SELECT FROM pg_catalog.pg_largeobject_metadata)
  ORDER BY 1`

/** Statements of this many tables each: a thousand tables are a few round trips, and no statement is too deep to plan. */
const BATCH = 100

export interface CountedTable {
  space: string
  table: string
  /** Both, as SQL writes them. */
  name: string
}

export async function countedTables(session: Session): Promise<CountedTable[]> {
  return await session.rows<CountedTable>(TABLES)
}

/** Counts the rows of every table as the session sees them. */
export async function rowsOf(session: Session, tables?: CountedTable[]): Promise<Record<string, number>> {
  const all = tables ?? (await countedTables(session))
  const counts: Record<string, number> = {}
  for (let at = 0; at < all.length; at += BATCH) {
    const counting = all
      .slice(at, at + BATCH)
      .map(
        ({ name }) => `SELECT ${literal(name)} AS name, (SELECT pg_catalog.count(*) FROM ONLY ${name})::text AS rows`
      )
    for (const row of await session.rows<{ name: string; rows: string }>(counting.join(' UNION ALL '))) {
      counts[row.name] = Number(row.rows)
    }
  }
  return counts
}
