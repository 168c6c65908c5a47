import { type DatabaseNames, loginRoles } from '../engine.js'
import { guardStates } from './errors.js'
import { block, id, literal } from './quote.js'

export interface RolePair {
  old: string
  new: string
}

/** Each role of the template and the one that takes its place in the copy. */
export function rolePairs(from: DatabaseNames, to: DatabaseNames): RolePair[] {
  return [
    { old: from.members, new: to.members },
    { old: from.app, new: to.app },
    ...loginRoles.map(role => ({ old: from.logins[role], new: to.logins[role] }))
  ]
}

/**
 * The statements with which a template's owner, logged in to a copy, hands everything to the copy's own roles.
 *
 * Objects go by REASSIGN OWNED, which also reaches what no ALTER … OWNER can name (extensions) and is one statement for
 * any number of tables. From control it would be dangerous, for it takes databases along; this login owns none, and the
 * first block refuses to go on if it does. Rights follow object by object: DROP OWNED would reach other databases.
 */
export function handOver(owning: RolePair[], pairs: RolePair[]): string {
  const reassign = owning.map(pair => `REASSIGN OWNED BY ${id(pair.old)} TO ${id(pair.new)}`)
  return [
    block(nothingShared(pairs)),
    block(handOverSchemas(owning)),
    ...reassign,
    block(translateRights(pairs)),
    block(nothingLeft(pairs))
  ].join(';\n')
}

const oldRoles = (pairs: RolePair[]) =>
  `ARRAY[${pairs.map(pair => `pg_catalog.to_regrole(${literal(id(pair.old))})::oid`).join(', ')}]`

/** The pairs as a table: OID and quoted name of the old role, quoted name of the new. */
function pairTable(pairs: RolePair[]): string {
  const rows = pairs.map(pair => {
    const old = literal(id(pair.old))
    return `(pg_catalog.to_regrole(${old})::oid, ${old}, ${literal(id(pair.new))})`
  })
  return `(VALUES ${rows.join(', ')}) AS pair (old, old_name, new_name)`
}

const nothingShared = (pairs: RolePair[]) => `
BEGIN
  IF EXISTS (
    SELECT FROM pg_catalog.pg_shdepend WHERE dbid = 0 AND deptype = 'o'
      AND refclassid = 'pg_catalog.pg_authid'::regclass AND refobjid = ANY (${oldRoles(pairs)})
  ) THEN
    RAISE EXCEPTION 'a role of the template owns a database or tablespace' USING ERRCODE = '${guardStates.foreign}';
  END IF;
END`

/** Schemas first: REASSIGN takes objects as it finds them, and asks that the new owner may CREATE where each one is. */
const handOverSchemas = (owning: RolePair[]) => `
DECLARE
  statement text;
BEGIN
  FOR statement IN
    SELECT pg_catalog.format('ALTER SCHEMA %I OWNER TO %s', n.nspname, pair.new_name)
    FROM ${pairTable(owning)} JOIN pg_catalog.pg_namespace n ON n.nspowner = pair.old
  LOOP
    EXECUTE statement;
  END LOOP;
END`

const nothingLeft = (pairs: RolePair[]) => `
DECLARE
  left_over text;
BEGIN
  SELECT pg_catalog.string_agg(pg_catalog.pg_describe_object(classid, objid, objsubid), ', ') INTO left_over
  FROM pg_catalog.pg_shdepend
  WHERE dbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
    AND refclassid = 'pg_catalog.pg_authid'::regclass AND refobjid = ANY (${oldRoles(pairs)});
  IF left_over IS NOT NULL THEN
    RAISE EXCEPTION 'the copy still depends on roles of its template: %', left_over
      USING ERRCODE = '${guardStates.foreign}';
  END IF;
END`

/** Grants to the new roles what the old ones have, then takes it from the old: column rights go with those of the table. */
const translateRights = (pairs: RolePair[]) => `
DECLARE
  statement text;
BEGIN
  FOR statement IN
    WITH pair AS (SELECT * FROM ${pairTable(pairs)}),
    ${objectRights},
    ${defaultRights},
    ${policies}
    SELECT sql FROM (
      SELECT 1 AS phase, sql FROM grant_objects
      UNION ALL SELECT 2, sql FROM revoke_objects
      UNION ALL SELECT 3, sql FROM give_defaults
      UNION ALL SELECT 4, sql FROM take_defaults
      UNION ALL SELECT 5, sql FROM policy
    ) AS work ORDER BY phase
  LOOP
    EXECUTE statement;
  END LOOP;
END`

/** Objects with the same rights share a statement: 30 tables make two GRANTs and one REVOKE. */
const objectRights = `
    object (kind, name, columns, acl) AS (
      SELECT CASE relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, oid::regclass::text, '', relacl
        FROM pg_catalog.pg_class WHERE relacl IS NOT NULL
      UNION ALL SELECT 'TABLE', attrelid::regclass::text, pg_catalog.format(' (%I)', attname), attacl
        FROM pg_catalog.pg_attribute WHERE attacl IS NOT NULL AND NOT attisdropped
      UNION ALL SELECT 'ROUTINE', oid::regprocedure::text, '', proacl
        FROM pg_catalog.pg_proc WHERE proacl IS NOT NULL
      UNION ALL SELECT 'TYPE', oid::regtype::text, '', typacl
        FROM pg_catalog.pg_type WHERE typacl IS NOT NULL
      UNION ALL SELECT 'SCHEMA', pg_catalog.quote_ident(nspname), '', nspacl
        FROM pg_catalog.pg_namespace WHERE nspacl IS NOT NULL
      UNION ALL SELECT 'LANGUAGE', pg_catalog.quote_ident(lanname), '', lanacl
        FROM pg_catalog.pg_language WHERE lanacl IS NOT NULL
      UNION ALL SELECT 'LARGE OBJECT', oid::text, '', lomacl
        FROM pg_catalog.pg_largeobject_metadata WHERE lomacl IS NOT NULL
      UNION ALL SELECT 'FOREIGN SERVER', pg_catalog.quote_ident(srvname), '', srvacl
        FROM pg_catalog.pg_foreign_server WHERE srvacl IS NOT NULL
      UNION ALL SELECT 'FOREIGN DATA WRAPPER', pg_catalog.quote_ident(fdwname), '', fdwacl
        FROM pg_catalog.pg_foreign_data_wrapper WHERE fdwacl IS NOT NULL
    ),
    entry AS (
      SELECT object.kind, object.name, pair.old_name, pair.new_name, x.is_grantable,
        pg_catalog.string_agg(x.privilege_type || object.columns, ', ' ORDER BY x.privilege_type) AS rights
      FROM object CROSS JOIN LATERAL pg_catalog.aclexplode(object.acl) AS x JOIN pair ON pair.old = x.grantee
      GROUP BY 1, 2, 3, 4, 5, object.columns
    ),
    grant_objects AS (
      SELECT pg_catalog.format('GRANT %s ON %s %s TO %s%s', rights, kind, pg_catalog.string_agg(name, ', '), new_name,
        CASE WHEN is_grantable THEN ' WITH GRANT OPTION' END) AS sql
      FROM entry GROUP BY rights, kind, new_name, is_grantable
    ),
    revoke_objects AS (
      SELECT pg_catalog.format('REVOKE ALL ON %s %s FROM %s CASCADE', kind, pg_catalog.string_agg(DISTINCT name, ', '),
        pg_catalog.string_agg(DISTINCT old_name, ', ')) AS sql
      FROM entry GROUP BY kind
    )`

/** Default privileges have no owner to alter: they are made again for the new owner, and unmade for the old. */
const defaultRights = `
    default_acl AS (
      SELECT pair.old_name, pair.new_name, d.defaclrole AS owner, d.defaclacl AS acl,
        CASE WHEN n.oid IS NOT NULL THEN pg_catalog.format(' IN SCHEMA %I', n.nspname) END AS place,
        CASE d.defaclobjtype WHEN 'r' THEN 'TABLES' WHEN 'S' THEN 'SEQUENCES' WHEN 'f' THEN 'ROUTINES'
          WHEN 'T' THEN 'TYPES' WHEN 'n' THEN 'SCHEMAS' ELSE 'LARGE OBJECTS' END AS kind,
        CASE WHEN d.defaclnamespace = 0
          THEN pg_catalog.acldefault(CASE d.defaclobjtype WHEN 'S' THEN 's' ELSE d.defaclobjtype END, d.defaclrole)
          END AS base
      FROM pg_catalog.pg_default_acl d JOIN pair ON pair.old = d.defaclrole
      LEFT JOIN pg_catalog.pg_namespace n ON n.oid = d.defaclnamespace
    ),
    default_entry AS (
      SELECT d.old_name, d.new_name, d.place, d.kind, c.added, c.privilege_type, c.is_grantable,
        CASE WHEN c.grantee = 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(g.rolname) END AS old_grantee,
        coalesce(p.new_name, CASE WHEN c.grantee = 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(g.rolname) END) AS new_grantee
      FROM default_acl d
      CROSS JOIN LATERAL (
        (SELECT true AS added, grantee, privilege_type, is_grantable FROM pg_catalog.aclexplode(d.acl)
          EXCEPT SELECT true, grantee, privilege_type, is_grantable FROM pg_catalog.aclexplode(d.base))
        UNION ALL
        (SELECT false, grantee, privilege_type, is_grantable FROM pg_catalog.aclexplode(d.base)
          EXCEPT SELECT false, grantee, privilege_type, is_grantable FROM pg_catalog.aclexplode(d.acl))
      ) AS c
      LEFT JOIN pg_catalog.pg_roles g ON g.oid = c.grantee LEFT JOIN pair p ON p.old = c.grantee
    ),
    give_defaults AS (
      SELECT pg_catalog.format('ALTER DEFAULT PRIVILEGES FOR ROLE %s%s %s %s ON %s %s %s%s', new_name, place,
        CASE WHEN added THEN 'GRANT' ELSE 'REVOKE' END, pg_catalog.string_agg(privilege_type, ', '), kind,
        CASE WHEN added THEN 'TO' ELSE 'FROM' END, new_grantee,
        CASE WHEN added AND is_grantable THEN ' WITH GRANT OPTION' END) AS sql
      FROM default_entry GROUP BY new_name, place, kind, added, new_grantee, is_grantable
    ),
    take_defaults AS (
      SELECT pg_catalog.format('ALTER DEFAULT PRIVILEGES FOR ROLE %s%s %s %s ON %s %s %s', old_name, place,
        CASE WHEN added THEN 'REVOKE' ELSE 'GRANT' END, pg_catalog.string_agg(privilege_type, ', '), kind,
        CASE WHEN added THEN 'FROM' ELSE 'TO' END, old_grantee) AS sql
      FROM default_entry GROUP BY old_name, place, kind, added, old_grantee
    )`

/** Row-level policies name roles without granting anything. */
const policies = `
    policy AS (
      SELECT pg_catalog.format('ALTER POLICY %I ON %s TO %s', polname, polrelid::regclass,
        (SELECT pg_catalog.string_agg(
            CASE WHEN role = 0 THEN 'PUBLIC' ELSE coalesce(pair.new_name, pg_catalog.quote_ident(r.rolname)) END, ', ')
          FROM pg_catalog.unnest(polroles) AS role
          LEFT JOIN pair ON pair.old = role LEFT JOIN pg_catalog.pg_roles r ON r.oid = role)) AS sql
      FROM pg_catalog.pg_policy WHERE polroles && (SELECT pg_catalog.array_agg(old) FROM pair)
    )`
