import { type DatabaseNames, loginRoles } from '../engine.js'
import { guardStates } from './errors.js'
import { block, id, literal } from './quote.js'
import { pairTable, type RolePair } from './role-pairs.js'
import { translateRights } from './translate-rights.js'

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
