import { pairTable, type RolePair } from './role-pairs.js'

/** Grants to the new roles what the old ones have, then takes it from the old: column rights go with those of the table. */
export const translateRights = (pairs: RolePair[]) => `
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
    object (kind, name, columns, acl, owner) AS (
      SELECT CASE relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, oid::regclass::text, '', relacl, relowner
        FROM pg_catalog.pg_class WHERE relacl IS NOT NULL
      UNION ALL SELECT 'TABLE', attrelid::regclass::text, pg_catalog.format(' (%I)', attname), attacl, relowner
        FROM pg_catalog.pg_attribute JOIN pg_catalog.pg_class c ON c.oid = attrelid
        WHERE attacl IS NOT NULL AND NOT attisdropped
      UNION ALL SELECT 'ROUTINE', oid::regprocedure::text, '', proacl, proowner
        FROM pg_catalog.pg_proc WHERE proacl IS NOT NULL
      UNION ALL SELECT 'TYPE', oid::regtype::text, '', typacl, typowner
        FROM pg_catalog.pg_type WHERE typacl IS NOT NULL
      UNION ALL SELECT 'SCHEMA', pg_catalog.quote_ident(nspname), '', nspacl, nspowner
        FROM pg_catalog.pg_namespace WHERE nspacl IS NOT NULL
      UNION ALL SELECT 'LANGUAGE', pg_catalog.quote_ident(lanname), '', lanacl, lanowner
        FROM pg_catalog.pg_language WHERE lanacl IS NOT NULL
      UNION ALL SELECT 'LARGE OBJECT', oid::text, '', lomacl, lomowner
        FROM pg_catalog.pg_largeobject_metadata WHERE lomacl IS NOT NULL
      UNION ALL SELECT 'FOREIGN SERVER', pg_catalog.quote_ident(srvname), '', srvacl, srvowner
        FROM pg_catalog.pg_foreign_server WHERE srvacl IS NOT NULL
      UNION ALL SELECT 'FOREIGN DATA WRAPPER', pg_catalog.quote_ident(fdwname), '', fdwacl, fdwowner
        FROM pg_catalog.pg_foreign_data_wrapper WHERE fdwacl IS NOT NULL
    ),
    entry AS (
      SELECT object.kind, object.name, pair.old_name, pair.new_name, x.is_grantable,
        pg_catalog.string_agg(x.privilege_type || object.columns, ', ' ORDER BY x.privilege_type) AS rights
      FROM object CROSS JOIN LATERAL pg_catalog.aclexplode(object.acl) AS x JOIN pair ON pair.old = x.grantee
      -- What belongs to others is not ours to grant; if it is granted to the template, the last block finds it.
      WHERE pg_catalog.pg_has_role(object.owner, 'USAGE')
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
