import { SaasctlError } from '../../../errors.js'
import { SCHEMA } from '../furnish.js'
import type { Session } from '../session.js'

/** A table whose rows go along, with the columns that are not computed. */
export interface TableContent {
  schema: string
  name: string
  /** Schema and name, and the list of columns in brackets, quoted. */
  qualified: string
  columns: string
}

export interface Statement {
  schema: string
  name: string
  sql: string
}

const OURS = `n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', '${SCHEMA}')`
const NO_EXTENSIONS = `NOT EXISTS (SELECT FROM pg_catalog.pg_depend x WHERE x.deptype = 'e'
  AND x.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND x.objid = c.oid)`

const FROM = `FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace`

/** Every table, and the ledger of migrations, which is the one of ours that goes along. */
export function tablesOf(session: Session): Promise<TableContent[]> {
  return session.rows<TableContent>(
    `SELECT n.nspname AS schema, c.relname AS name, pg_catalog.format('%I.%I', n.nspname, c.relname) AS qualified,
       coalesce((SELECT '(' || pg_catalog.string_agg(pg_catalog.quote_ident(a.attname), ', ' ORDER BY a.attnum) || ')'
         FROM pg_catalog.pg_attribute a
         WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''), '') AS columns
     ${FROM} WHERE c.relkind = 'r' AND ${NO_EXTENSIONS}
       AND (${OURS} OR (n.nspname = '${SCHEMA}' AND c.relname = 'pgmigrations'))
     ORDER BY n.nspname, c.relname`
  )
}

/** Where each sequence stands. */
export async function sequencesOf(session: Session): Promise<Statement[]> {
  const found = await session.rows<{ schema: string; name: string; qualified: string; literal: string }>(
    `SELECT n.nspname AS schema, c.relname AS name, pg_catalog.format('%I.%I', n.nspname, c.relname) AS qualified,
       pg_catalog.quote_literal(pg_catalog.format('%I.%I', n.nspname, c.relname)) AS literal
     ${FROM} WHERE c.relkind = 'S' AND ${NO_EXTENSIONS}
       AND (${OURS} OR (n.nspname = '${SCHEMA}' AND c.relname = 'pgmigrations_id_seq'))
     ORDER BY n.nspname, c.relname`
  )
  const statements: Statement[] = []
  for (const { schema, name, qualified, literal } of found) {
    const [at] = await session.rows<{ last: string; called: boolean }>(
      `SELECT last_value::text AS last, is_called AS called FROM ${qualified}`
    )
    if (at) statements.push({ schema, name, sql: `SELECT pg_catalog.setval(${literal}, ${at.last}, ${at.called});\n` })
  }
  return statements
}

/** The filled materialized views, each after those that it reads. */
export function refreshesOf(session: Session): Promise<Statement[]> {
  return session.rows<Statement>(
    `WITH RECURSIVE view AS (SELECT c.oid, n.nspname AS schema, c.relname AS name ${FROM}
         WHERE c.relkind IN ('v', 'm') AND ${OURS} AND ${NO_EXTENSIONS}),
       reads AS (SELECT DISTINCT r.ev_class AS reader, d.refobjid AS source FROM pg_catalog.pg_rewrite r
         JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.objid = r.oid
         WHERE d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid <> r.ev_class),
       deep AS (SELECT oid, 0 AS depth FROM view
         UNION SELECT reads.reader, deep.depth + 1 FROM deep JOIN reads ON reads.source = deep.oid WHERE deep.depth < 100)
     SELECT view.schema, view.name, pg_catalog.format(E'REFRESH MATERIALIZED VIEW %I.%I;\\n', view.schema, view.name) AS sql
     FROM view JOIN pg_catalog.pg_class c ON c.oid = view.oid
     WHERE c.relkind = 'm' AND c.relispopulated
     ORDER BY (SELECT pg_catalog.max(depth) FROM deep WHERE deep.oid = view.oid), 1, 2`
  )
}

/** What this way of dumping cannot carry, by name. */
export async function refuseUncarried(session: Session, database: string, install: string): Promise<void> {
  const found = await session.rows<{ what: string }>(
    `SELECT 'large objects (' || pg_catalog.count(*) || ')' AS what FROM pg_catalog.pg_largeobject_metadata HAVING pg_catalog.count(*) > 0
     UNION ALL
     SELECT 'rows of extension ' || extname FROM pg_catalog.pg_extension WHERE extconfig IS NOT NULL
     UNION ALL
     SELECT pg_catalog.format('%I.%I, which is not its owner’s', n.nspname, c.relname) ${FROM}
     WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND ${OURS} AND ${NO_EXTENSIONS}
       AND c.relowner <> current_user::pg_catalog.regrole LIMIT 5`
  )
  if (found.length === 0) return
  const what = found.map(row => row.what).join(', ')
  throw new SaasctlError('TOOL_MISSING', `Without pg_dump, database "${database}" cannot be dumped: it has ${what}.`, {
    hint: install
  })
}
