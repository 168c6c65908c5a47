import { asSaasctlError } from '../../errors.js'
import type { DatabaseNames, Furnish, ServerAccess } from '../engine.js'
import { connect, type Way } from './connect.js'
import { handOver, rolePairs } from './hand-over.js'
import { rolesOf } from './names.js'
import { id, literal } from './quote.js'
import type { Session } from './session.js'

/** Schema of ours in every tenant database: the identity row and node-pg-migrate's table. */
export const SCHEMA = 'saasctl'

/** Not waited for by itself: the REVOKE that follows on this server is, and what was committed before it is on disk with it. */
const LATER = 'SET LOCAL synchronous_commit TO off'

export type Enter = (way: Pick<Way, 'database' | 'as'>) => Promise<Session>

/**
 * Gives all that is in the database to its owner login and writes the identity row. A new database gets the schema of
 * ours and the rights of app and read-only logins; a copy has them from its template, and they change hands.
 */
export async function furnishDatabase(
  session: Session,
  server: ServerAccess,
  applicationName: string,
  furnish: Furnish
): Promise<void> {
  const enter: Enter = way => connect(server, { ...way, applicationName })
  await (furnish.from
    ? furnishCopy(session, enter, furnish, furnish.from)
    : furnishNew(session, server, enter, furnish))
}

async function furnishNew(session: Session, server: ServerAccess, enter: Enter, furnish: Furnish): Promise<void> {
  const { names, owner, databaseId } = furnish
  const login = names.logins.owner
  // A copy of template0 holds no line of a tenant's code yet: the one time that control looks inside. Once the owner
  // has anything there, an earlier try came this far, and control stays out.
  if ((await owners(session, names.database, [login])).length === 0) {
    await whileMember(session, [login], server.control.login, () =>
      inside(enter({ database: names.database, as: server.control }), `ALTER SCHEMA public OWNER TO ${id(login)}`)
    )
  } else {
    // That try may have ended before it gave the membership back.
    await session.run(`REVOKE ${id(login)} FROM ${id(server.control.login)}`)
  }
  await inside(enter({ database: names.database, as: owner }), furniture(names, databaseId))
}

/** May be sent again to a database that has some or all of it. */
export function furniture(names: DatabaseNames, databaseId: string): string {
  const app = id(names.app)
  const readonly = id(names.logins.readonly)
  const both = `${app}, ${readonly}`
  const identity = `${SCHEMA}.identity`
  return `
    REVOKE ALL ON SCHEMA public FROM PUBLIC;
    GRANT USAGE ON SCHEMA public TO ${both};
    CREATE SCHEMA IF NOT EXISTS ${SCHEMA};
    REVOKE ALL ON SCHEMA ${SCHEMA} FROM PUBLIC;
    GRANT USAGE ON SCHEMA ${SCHEMA} TO ${both};
    CREATE TABLE IF NOT EXISTS ${identity} (
      database_id uuid PRIMARY KEY,
      made_at timestamptz NOT NULL DEFAULT pg_catalog.now()
    );
    CREATE TABLE IF NOT EXISTS ${SCHEMA}.pgmigrations (
      id serial PRIMARY KEY,
      name varchar(255) NOT NULL,
      run_on timestamp NOT NULL
    );
    GRANT SELECT ON ${identity} TO ${both};
    ${identityRow(databaseId)};
    -- For what migrations will make, in whichever schema. Tables of ours came first and stay out of it.
    ALTER DEFAULT PRIVILEGES GRANT USAGE ON SCHEMAS TO ${both};
    ALTER DEFAULT PRIVILEGES GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO ${app};
    ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO ${readonly};
    ALTER DEFAULT PRIVILEGES GRANT USAGE, SELECT ON SEQUENCES TO ${app};
    ALTER DEFAULT PRIVILEGES GRANT SELECT ON SEQUENCES TO ${readonly}`
}

/** Two statements that leave exactly this row, whatever was there. */
function identityRow(databaseId: string): string {
  return `DELETE FROM ${SCHEMA}.identity WHERE database_id <> ${literal(databaseId)};
    INSERT INTO ${SCHEMA}.identity (database_id) VALUES (${literal(databaseId)}) ON CONFLICT DO NOTHING`
}

/**
 * The copy's objects belong to the template's owner login. It logs in to the copy, as a member of the new owner for
 * these few milliseconds, and hands everything over in one message, which fails as a whole if anything would stay.
 */
async function furnishCopy(
  session: Session,
  enter: Enter,
  { names, databaseId }: Furnish,
  from: NonNullable<Furnish['from']>
): Promise<void> {
  const pairs = rolePairs(from.names, names)
  // Beside the owner, an app login may own large objects: making one takes no right at all.
  const owning = await owners(session, names.database, rolesOf(from.names))
  const handing = pairs.filter(({ old }) => old === from.names.logins.owner || owning.includes(old))
  const roles = handing.flatMap(pair => [pair.old, pair.new]).filter(role => role !== from.names.logins.owner)
  await whileMember(session, roles, from.names.logins.owner, () =>
    inside(
      enter({ database: names.database, as: from.owner }),
      `BEGIN; ${LATER}; ${handOver(handing, pairs)}; ${identityRow(databaseId)}; COMMIT`
    )
  )
}

/** Which of the roles own something in a database: `pg_shdepend` is shared, so nobody has to enter to know. */
async function owners(session: Session, database: string, roles: string[]): Promise<string[]> {
  const rows = await session.rows<{ name: string }>(
    `SELECT DISTINCT r.rolname::text AS name FROM pg_catalog.pg_shdepend s
     JOIN pg_catalog.pg_database d ON d.oid = s.dbid JOIN pg_catalog.pg_roles r ON r.oid = s.refobjid
     WHERE d.datname = $1 AND r.rolname = ANY ($2) AND s.deptype = 'o'
       AND s.refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass`,
    [database, roles]
  )
  return rows.map(({ name }) => name)
}

/** Grants memberships for one act. A revoke that fails stands beside the act's own error, never in its place. */
export async function whileMember(
  session: Session,
  roles: string[],
  member: string,
  act: () => Promise<void>
): Promise<void> {
  const list = roles.map(id).join(', ')
  await session.run(`${LATER}; GRANT ${list} TO ${id(member)}`)
  const revoke = () => session.run(`REVOKE ${list} FROM ${id(member)}`)
  try {
    await act()
  } catch (error) {
    const first = asSaasctlError(error)
    await revoke().catch(also => first.also.push(asSaasctlError(also).toJSON()))
    throw first
  }
  await revoke()
}

export async function inside(entering: Promise<Session>, sql: string): Promise<void> {
  const session = await entering
  try {
    await session.run(sql)
  } finally {
    session.leave()
  }
}
