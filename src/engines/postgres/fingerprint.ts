import type { SchemaFact } from '../engine.js'
import { SCHEMA } from './furnish.js'
import { ourForm } from './names.js'
import type { Session } from './session.js'

/**
 * SHA-256 of the schema: the same in a copy of the template and after dump and restore, within one major version.
 * Left out: schema `saasctl`, owners and rights, what extensions bring, the order and gaps of columns, comments.
 */
export async function fingerprintOf(session: Session): Promise<string> {
  const [row] = await session.rows<{ hash: string }>(FINGERPRINT)
  return row?.hash ?? ''
}

/** The same object by object. */
export async function factsOf(session: Session): Promise<SchemaFact[]> {
  return (await session.rows<SchemaFact>(FACTS)).map(readable)
}

/** The name stands beside the definition already. */
function readable(fact: SchemaFact): SchemaFact {
  const { kind, name, definition } = fact
  const repeated = kind === 'constraint' ? `${name.replace(/\.(?=[^."]*$|"[^"]*"$)/, ' ')} ` : `${name} `
  return kind !== 'index' && definition.startsWith(repeated)
    ? { kind, name, definition: definition.slice(repeated.length).trim() }
    : fact
}

const named = (space: string, name: string) => `format('%I.%I', ${space}, ${name})`
const whole = (catalog: string, oid: string) =>
  `NOT EXISTS (SELECT FROM pg_depend e WHERE e.deptype = 'e' AND e.classid = 'pg_catalog.${catalog}'::regclass AND e.objid = ${oid})`

/**
 * One SELECT of `object` and `line` for each kind of object; `space` are the schemas that count, `rel` the relations in them.
 * The line is what is hashed; its first word is the kind.
 */
const lines = [
  `SELECT format('%I', nspname), format('schema %I', nspname) FROM space`,
  `SELECT format('%I', extname), format('extension %I', extname) FROM pg_extension WHERE extname <> 'plpgsql'`,
  `SELECT name, format('relation %s %s %s %s %s %s %s %s', relkind, name, relpersistence, relrowsecurity, relforcerowsecurity,
     reloptions, pg_get_partkeydef(oid), pg_get_expr(relpartbound, oid)) FROM rel WHERE relkind IN ('r', 'p', 'v', 'm', 'f')`,
  `SELECT rel.name, format('inherits %s %s', rel.name, i.inhparent::regclass) FROM pg_inherits i JOIN rel ON rel.oid = i.inhrelid
     WHERE rel.relkind IN ('r', 'p', 'f')`,
  `SELECT format('%s.%I', rel.name, a.attname),
     format('column %s.%I %s %s %s %s %s %s', rel.name, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
     a.attidentity, a.attgenerated, pg_get_expr(d.adbin, d.adrelid),
     CASE WHEN a.attcollation <> t.typcollation THEN a.attcollation::regcollation::text END)
   FROM rel JOIN pg_attribute a ON a.attrelid = rel.oid AND a.attnum > 0 AND NOT a.attisdropped
   JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
   WHERE rel.relkind IN ('r', 'p', 'v', 'm', 'f', 'c')`,
  // NOT NULL is the column's: PostgreSQL 18 lists it as a constraint too, with a name that restores may change.
  `SELECT format('%s.%I', coalesce(rel.name, c.contypid::regtype::text), c.conname),
     format('constraint %s %I %s', coalesce(rel.name, c.contypid::regtype::text), c.conname, pg_get_constraintdef(c.oid))
   FROM pg_constraint c JOIN space ON space.oid = c.connamespace LEFT JOIN rel ON rel.oid = c.conrelid
   WHERE c.contype NOT IN ('n', 't') AND (rel.oid IS NOT NULL OR c.conrelid = 0)`,
  `SELECT i.indexrelid::regclass::text, format('index %s %s', pg_get_indexdef(i.indexrelid), i.indisvalid)
   FROM pg_index i JOIN rel ON rel.oid = i.indrelid`,
  `SELECT name, format('view %s %s', name, pg_get_viewdef(oid)) FROM rel WHERE relkind IN ('v', 'm')`,
  `SELECT format('%s.%I', rel.name, r.rulename), format('rule %s', pg_get_ruledef(r.oid))
   FROM pg_rewrite r JOIN rel ON rel.oid = r.ev_class WHERE r.rulename <> '_RETURN'`,
  `SELECT format('%s.%I', rel.name, t.tgname), format('trigger %s %s', pg_get_triggerdef(t.oid), t.tgenabled)
   FROM pg_trigger t JOIN rel ON rel.oid = t.tgrelid WHERE NOT t.tgisinternal`,
  `SELECT format('%s.%I', rel.name, p.polname), format('policy %s %I %s %s %s %s %s', rel.name, p.polname, p.polcmd, p.polpermissive,
     pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid),
     ARRAY(SELECT coalesce(regexp_replace(r.rolname, '^${ourForm}', 'tenant'), 'public') FROM unnest(p.polroles) AS role
       LEFT JOIN pg_roles r ON r.oid = role ORDER BY 1))
   FROM pg_policy p JOIN rel ON rel.oid = p.polrelid`,
  `SELECT rel.name, format('sequence %s %s %s %s %s %s %s %s', rel.name, format_type(s.seqtypid, NULL), s.seqstart, s.seqincrement,
     s.seqmin, s.seqmax, s.seqcache, s.seqcycle) FROM pg_sequence s JOIN rel ON rel.oid = s.seqrelid`,
  `SELECT p.oid::regprocedure::text, format('function %s', pg_get_functiondef(p.oid))
   FROM pg_proc p JOIN space ON space.oid = p.pronamespace WHERE p.prokind <> 'a' AND ${whole('pg_proc', 'p.oid')}`,
  `SELECT p.oid::regprocedure::text, format('aggregate %s %s %s %s %s', p.oid::regprocedure, a.aggtransfn, a.aggfinalfn,
     format_type(a.aggtranstype, NULL), a.agginitval)
   FROM pg_aggregate a JOIN pg_proc p ON p.oid = a.aggfnoid JOIN space ON space.oid = p.pronamespace
   WHERE ${whole('pg_proc', 'p.oid')}`,
  `SELECT ${named('space.nspname', 't.typname')}, format('type %s %s %s %s %s %s', ${named('space.nspname', 't.typname')}, t.typtype,
     format_type(nullif(t.typbasetype, 0), t.typtypmod), t.typnotnull, t.typdefault,
     coalesce((SELECT string_agg(quote_literal(e.enumlabel), ',' ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid),
       (SELECT format_type(r.rngsubtype, NULL) FROM pg_range r WHERE r.rngtypid = t.oid)))
   FROM pg_type t JOIN space ON space.oid = t.typnamespace WHERE t.typtype IN ('d', 'e', 'r') AND ${whole('pg_type', 't.oid')}`,
  `SELECT ${named('space.nspname', 's.stxname')}, format('statistics %s', pg_get_statisticsobjdef(s.oid)) FROM pg_statistic_ext s
   JOIN space ON space.oid = s.stxnamespace`
]

/**
 * A CHECK (x IN ('a', 'b')) on a varchar is printed in one way when it was typed and in another after a restore: the
 * two replacements make one of both.
 */
const settled = `regexp_replace(regexp_replace(line,
  '\\(((?:''(?:[^'']|'''')*'')::character varying)\\)::text', '\\1', 'g'),
  '\\((ARRAY\\[[^\\]]*\\])\\)::text\\[\\]', '\\1', 'g')`

const STEADY = `
  WITH space AS MATERIALIZED (
    SELECT oid, nspname FROM pg_namespace
    WHERE nspname !~ '^pg_' AND nspname NOT IN ('information_schema', '${SCHEMA}')
  ),
  rel AS MATERIALIZED (
    SELECT c.*, ${named('space.nspname', 'c.relname')} AS name FROM pg_class c JOIN space ON space.oid = c.relnamespace
    WHERE ${whole('pg_class', 'c.oid')}
  ),
  described (object, line) AS (
    ${lines.join('\n    UNION ALL\n    ')}
  ),
  steady (object, line) AS (SELECT object, ${settled} FROM described)`

const FINGERPRINT = `${STEADY}
  SELECT encode(sha256(convert_to(coalesce(string_agg(line, E'\\n' ORDER BY line COLLATE "C"), ''), 'UTF8')), 'hex') AS hash
  FROM steady`

/** As DDL says it, of the same parts as the line that is hashed. */
const COLUMNS = `
  SELECT 'column' AS kind, format('%s.%I', rel.name, a.attname) AS name,
    concat_ws(' ', format_type(a.atttypid, a.atttypmod),
      CASE WHEN a.attcollation <> t.typcollation THEN 'COLLATE ' || a.attcollation::regcollation::text END,
      CASE WHEN a.attnotnull THEN 'NOT NULL' END,
      CASE a.attidentity WHEN 'a' THEN 'GENERATED ALWAYS AS IDENTITY' WHEN 'd' THEN 'GENERATED BY DEFAULT AS IDENTITY' END,
      CASE a.attgenerated WHEN 's' THEN format('GENERATED ALWAYS AS (%s) STORED', pg_get_expr(d.adbin, d.adrelid))
        WHEN 'v' THEN format('GENERATED ALWAYS AS (%s)', pg_get_expr(d.adbin, d.adrelid))
        ELSE 'DEFAULT ' || pg_get_expr(d.adbin, d.adrelid) END) AS definition
  FROM rel JOIN pg_attribute a ON a.attrelid = rel.oid AND a.attnum > 0 AND NOT a.attisdropped
  JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
  WHERE rel.relkind IN ('r', 'p', 'v', 'm', 'f', 'c')`

const FACTS = `${STEADY}
  SELECT split_part(line, ' ', 1) AS kind, object AS name, substr(line, strpos(line, ' ') + 1) AS definition
  FROM steady WHERE line NOT LIKE 'column %'
  UNION ALL ${COLUMNS}
  ORDER BY 1, 2, 3`
