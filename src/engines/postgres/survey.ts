import { asSaasctlError, SaasctlError } from '../../errors.js'
import { quoteInput } from '../../names.js'
import type { Finding, ServerAccess, Survey } from '../engine.js'
import { connect } from './connect.js'
import { id } from './quote.js'
import type { Session } from './session.js'
import { stuckIn } from './stuck.js'

/**
 * Reads the system's tables, as control: first from outside, then inside where it may enter. Nothing that a tenant wrote is
 * run by that: no row of a table or view of his is read.
 */
export async function survey(server: ServerAccess, database: string): Promise<Survey> {
  const settings = { default_transaction_read_only: 'on' }
  const enter = (where: string) =>
    connect(server, { database: where, as: server.control, applicationName: 'saasctl/survey', settings })
  const outside = await enter(server.maintenance)
  try {
    const place = await placeOf(outside, database)
    const owners = await ownersOf(outside, database)
    const [{ sessions } = { sessions: 0 }] = await outside.rows<{ sessions: number }>(
      'SELECT count(*)::int AS sessions FROM pg_catalog.pg_stat_activity WHERE datname = $1',
      [database]
    )
    const lacking = [...lackingOn(place, owners, server.control.login, outside.major)]
    const control = server.control.login
    const heir = owners.find(({ role, superuser, reachable }) => !superuser && reachable && role !== control)?.role
    if (place.connect && place.open) lacking.push(...(await look(enter(database), { database, control, heir })))
    const losing = await losingIn(outside, database)
    return {
      bytes: Number(place.bytes),
      owner: place.owner,
      owners: owners.map(({ role, objects }) => ({ role, objects })),
      losing,
      sessions,
      lacking
    }
  } finally {
    outside.leave()
  }
}

interface Place {
  name: string
  owner: string
  open: boolean
  connect: boolean
  createdb: boolean
  createrole: boolean
  bytes: string
}

async function placeOf(session: Session, database: string): Promise<Place> {
  const [place] = await session.rows<Place>(
    `SELECT d.datname::text AS name, o.rolname::text AS owner, d.datallowconn AND d.datconnlimit <> -2 AS open,
       pg_catalog.has_database_privilege(d.oid, 'CONNECT') AS connect, m.rolcreatedb AS createdb, m.rolcreaterole AS createrole,
       CASE WHEN pg_catalog.has_database_privilege(d.oid, 'CONNECT') THEN pg_catalog.pg_database_size(d.oid) ELSE 0 END::text AS bytes
     FROM pg_catalog.pg_database d JOIN pg_catalog.pg_roles o ON o.oid = d.datdba
     JOIN pg_catalog.pg_roles m ON m.rolname = current_user
     WHERE d.datname = $1 AND NOT d.datistemplate AND d.datname <> pg_catalog.current_database()`,
    [database]
  )
  if (place) return place
  throw new SaasctlError('INVALID_INPUT', `The server has no database ${quoteInput(database)} to take over.`, {
    hint: 'Templates and the maintenance database cannot be adopted; "\\l" in psql lists the others.'
  })
}

interface Owner {
  role: string
  objects: number
  superuser: boolean
  /** Control is a member, or may make somebody one. */
  reachable: boolean
}

async function ownersOf(session: Session, database: string): Promise<Owner[]> {
  // Up to 15 a CREATEROLE may grant every role that is no superuser's; from 16 on it takes the ADMIN option.
  const reachable =
    session.major < 16
      ? '(SELECT rolcreaterole FROM pg_catalog.pg_roles WHERE rolname = current_user)'
      : `pg_catalog.pg_has_role(r.oid, 'MEMBER WITH ADMIN OPTION')`
  return await session.rows<Owner>(
    `SELECT r.rolname::text AS role, count(s.objid)::int AS objects, r.rolsuper AS superuser,
       r.rolname = current_user OR ${reachable} AS reachable
     FROM pg_catalog.pg_database d
     LEFT JOIN pg_catalog.pg_shdepend s ON s.dbid = d.oid AND s.deptype = 'o' AND s.refclassid = 'pg_catalog.pg_authid'::regclass
     JOIN pg_catalog.pg_roles r ON r.oid = s.refobjid OR r.oid = d.datdba
     WHERE d.datname = $1 GROUP BY r.oid, r.rolname, r.rolsuper ORDER BY 1`,
    [database]
  )
}

function* lackingOn(place: Place, owners: Owner[], control: string, major: number): Generator<Finding> {
  const error = (code: string, message: string, fix: string): Finding => ({ level: 'error', code, message, fix })
  if (!place.open)
    yield error(
      'adopt.closed',
      `Database ${place.name} lets nobody in.`,
      `ALTER DATABASE ${id(place.name)} ALLOW_CONNECTIONS true;`
    )
  if (!place.connect)
    yield error(
      'adopt.connect',
      `Control may not connect to database ${place.name}.`,
      `GRANT CONNECT ON DATABASE ${id(place.name)} TO ${id(control)};`
    )
  for (const { role, superuser, reachable } of owners) {
    if (superuser && role === place.owner)
      yield error(
        'adopt.owner',
        `Database ${place.name} belongs to the superuser ${role}.`,
        `ALTER DATABASE ${id(place.name)} OWNER TO ${id(control)};`
      )
    if (!superuser && !reachable)
      yield error(
        'adopt.member',
        `Control may not act for role ${role}, which owns things in database ${place.name}.`,
        `GRANT ${id(role)} TO ${id(control)}${major < 16 ? '' : ' WITH ADMIN OPTION'};`
      )
  }
}

/** Who has rights to the database or to something in it, but its owners: also that is told without entering. */
async function losingIn(session: Session, database: string): Promise<string[]> {
  const rows = await session.rows<{ role: string }>(
    `SELECT DISTINCT CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE x.grantee::regrole::text END AS role
     FROM pg_catalog.pg_database d, pg_catalog.aclexplode(coalesce(d.datacl, pg_catalog.acldefault('d', d.datdba))) x
     WHERE d.datname = $1 AND x.grantee <> d.datdba
     UNION SELECT s.refobjid::regrole::text FROM pg_catalog.pg_shdepend s
     JOIN pg_catalog.pg_database d ON d.oid = s.dbid WHERE d.datname = $1 AND s.deptype = 'a' ORDER BY 1`,
    [database]
  )
  return rows.map(({ role }) => role)
}

/** Inside, where control may enter: what belongs to a superuser and would stay so, and a schema of our name. */
async function look(
  entering: Promise<Session>,
  { database, control, heir }: { database: string; control: string; heir: string | undefined }
): Promise<Finding[]> {
  try {
    const session = await entering
    try {
      return await stuckIn(session, control, heir)
    } finally {
      session.leave()
    }
  } catch (thrown) {
    const { code, message } = asSaasctlError(thrown)
    if (code !== 'SERVER_DENIED') throw thrown
    const level = 'warning'
    return [
      { level, code: 'adopt.unseen', message: `Control was not let into database ${database} to look: ${message}` }
    ]
  }
}
