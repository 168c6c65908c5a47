import { guardStates } from './errors.js'
import { SCHEMA } from './furnish.js'
import { block, id, literal } from './quote.js'

const oids = (roles: string[]) =>
  `ARRAY(SELECT oid FROM pg_catalog.pg_roles WHERE rolname = ANY (ARRAY[${roles.map(literal).join(', ')}]::text[]))`

const HERE = `(SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())`

/** What brings its owner from what it is part of, what no ALTER … OWNER names, and what an extension looks after. */
const whole = (s: string) => `
  ${s}.classid <> 'pg_catalog.pg_default_acl'::regclass AND ${s}.classid <> 'pg_catalog.pg_user_mapping'::regclass
  AND ${s}.classid <> 'pg_catalog.pg_extension'::regclass
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend e WHERE e.classid = ${s}.classid AND e.objid = ${s}.objid AND e.deptype = 'e')
  AND NOT (${s}.classid = 'pg_catalog.pg_class'::regclass AND EXISTS (
    SELECT FROM pg_catalog.pg_depend p JOIN pg_catalog.pg_class q ON q.oid = p.objid AND q.relkind = 'S'
    WHERE p.classid = ${s}.classid AND p.objid = ${s}.objid AND p.refclassid = ${s}.classid AND p.deptype IN ('a', 'i')))`

/**
 * Gives everything that these roles own in this database to another, object by object. Not by REASSIGN OWNED: that takes
 * their other databases along, and one role may own those of all customers. Schemas come first: the new owner must be able
 * to create where an object is.
 */
export const reOwn = (from: string[], to: string): string =>
  block(`
DECLARE
  one record;
BEGIN
  FOR one IN
    SELECT i.type, i.identity, s.objid FROM pg_catalog.pg_shdepend s,
      LATERAL pg_catalog.pg_identify_object(s.classid, s.objid, 0) i
    WHERE s.dbid = ${HERE} AND s.refclassid = 'pg_catalog.pg_authid'::regclass AND s.deptype = 'o'
      AND s.refobjid = ANY (${oids(from)}) AND ${whole('s')}
    ORDER BY i.type <> 'schema', i.identity
  LOOP
    EXECUTE pg_catalog.format('ALTER %s %s OWNER TO %I',
      CASE one.type WHEN 'statistics object' THEN 'STATISTICS' WHEN 'function' THEN 'ROUTINE'
        WHEN 'procedure' THEN 'ROUTINE' WHEN 'aggregate' THEN 'ROUTINE' WHEN 'composite type' THEN 'TYPE'
        ELSE pg_catalog.upper(one.type) END,
      CASE one.type WHEN 'large object' THEN one.objid::text ELSE one.identity END, ${literal(to)});
  END LOOP;
  IF EXISTS (SELECT FROM pg_catalog.pg_shdepend s WHERE s.dbid = ${HERE} AND s.deptype = 'o'
    AND s.refclassid = 'pg_catalog.pg_authid'::regclass AND s.refobjid = ANY (${oids(from)}) AND ${whole('s')})
  THEN
    RAISE EXCEPTION 'something in it still belongs to another role' USING ERRCODE = '${guardStates.foreign}';
  END IF;
END`)

/** Schema public is the database owner's, whoever that is, until it is somebody's by name. */
export const ownPublic = (to: string): string =>
  block(`
BEGIN
  IF EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = 'public' AND nspowner = 'pg_database_owner'::regrole) THEN
    ALTER SCHEMA public OWNER TO ${id(to)};
  END IF;
END`)

/** What has rights in it: kind for REVOKE, name, owner, rights. `public` may go on running functions and using types. */
const GRANTED = `
  SELECT CASE c.relkind WHEN 'S' THEN 'ALL ON SEQUENCE' ELSE 'ALL ON TABLE' END AS what, c.oid::regclass::text AS name,
    c.relowner AS owner, c.relacl AS acl, true AS closed, c.relnamespace AS space
  FROM pg_catalog.pg_class c WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
  UNION ALL
  SELECT pg_catalog.format('ALL (%I) ON TABLE', a.attname), c.oid::regclass::text, c.relowner, a.attacl, true, c.relnamespace
  FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid WHERE a.attacl IS NOT NULL
  UNION ALL
  SELECT 'ALL ON SCHEMA', pg_catalog.quote_ident(nspname), nspowner, nspacl, true, oid FROM pg_catalog.pg_namespace
  UNION ALL
  SELECT 'ALL ON ROUTINE', oid::regprocedure::text, proowner, proacl, false, pronamespace FROM pg_catalog.pg_proc
  UNION ALL
  SELECT 'ALL ON TYPE', oid::regtype::text, typowner, typacl, false, typnamespace FROM pg_catalog.pg_type`

/** Takes every right from the grantees `x` that `which` names, in all that `owner` owns here. */
export const strip = (owner: string, which: string): string =>
  block(`
DECLARE
  one record;
BEGIN
  FOR one IN
    SELECT DISTINCT g.what, g.name, CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE x.grantee::regrole::text END AS role
    FROM (${GRANTED}) g JOIN pg_catalog.pg_namespace n ON n.oid = g.space, pg_catalog.aclexplode(g.acl) x
    WHERE g.owner = ${literal(id(owner))}::regrole AND x.grantee <> g.owner AND n.nspname !~ '^pg_'
      AND n.nspname <> 'information_schema' AND (x.grantee <> 0 OR g.closed) AND ${which}
  LOOP
    EXECUTE pg_catalog.format('REVOKE %s %s FROM %s CASCADE', one.what, one.name, one.role);
  END LOOP;
END`)

export const notAmong = (roles: string[]): string => `x.grantee <> ALL (${oids(roles)})`
export const among = (roles: string[]): string => `x.grantee = ANY (${oids(roles)})`

/** The rights of app and read-only logins to what is there already; what comes later has them by default. */
export const grantAll = (owner: string, app: string, readonly: string): string =>
  block(`
DECLARE
  one record;
BEGIN
  FOR one IN SELECT nspname FROM pg_catalog.pg_namespace
    WHERE nspowner = ${literal(id(owner))}::regrole AND nspname <> '${SCHEMA}'
  LOOP
    EXECUTE pg_catalog.format('GRANT USAGE ON SCHEMA %I TO %I, %I', one.nspname, ${literal(app)}, ${literal(readonly)});
  END LOOP;
  FOR one IN SELECT c.oid::regclass::text AS name, c.relkind FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relowner = ${literal(id(owner))}::regrole AND n.nspname <> '${SCHEMA}' AND n.nspname !~ '^pg_'
      AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
  LOOP
    IF one.relkind = 'S' THEN
      EXECUTE pg_catalog.format('GRANT USAGE, SELECT ON SEQUENCE %s TO %I', one.name, ${literal(app)});
      EXECUTE pg_catalog.format('GRANT SELECT ON SEQUENCE %s TO %I', one.name, ${literal(readonly)});
    ELSE
      EXECUTE pg_catalog.format('GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE %s TO %I', one.name, ${literal(app)});
      EXECUTE pg_catalog.format('GRANT SELECT ON TABLE %s TO %I', one.name, ${literal(readonly)});
    END IF;
  END LOOP;
END`)
