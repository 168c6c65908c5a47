import { databaseIdOf } from '../../names.js'
import type { DatabaseNames, DatabaseState, Inventory, LoginRole } from '../engine.js'
import { isRoleOfOurs, ourForm } from './names.js'
import type { Session } from './session.js'

type Present = Exclude<DatabaseState['database'], 'absent'>

const DATABASE_STATE = `CASE WHEN datconnlimit = -2 THEN 'debris' WHEN datallowconn THEN 'open' ELSE 'closed' END`

/** Only who may connect may know the size; a database of our form may be another catalog's. */
const SIZE = `CASE WHEN pg_catalog.has_database_privilege(oid, 'CONNECT') THEN pg_catalog.pg_database_size(oid)::text END`

/** What there is of one database and its logins, in one round trip. */
export async function stateOf(session: Session, names: DatabaseNames): Promise<DatabaseState> {
  const rows = await session.rows<{ name: string; login: boolean; state: Present; bytes: string }>(
    `SELECT datname::text AS name, false AS login, ${DATABASE_STATE} AS state,
       ${SIZE} AS bytes
     FROM pg_catalog.pg_database WHERE datname = $1
     UNION ALL
     SELECT rolname, true, CASE WHEN rolcanlogin THEN 'open' ELSE 'closed' END, '0'
     FROM pg_catalog.pg_roles WHERE rolname = ANY ($2)`,
    [names.database, Object.values(names.logins)]
  )
  const database = rows.find(row => !row.login)
  const loginState = (role: LoginRole) => {
    const found = rows.find(row => row.login && row.name === names.logins[role])
    return found ? (found.state === 'open' ? 'open' : 'closed') : 'absent'
  }
  return {
    database: database?.state ?? 'absent',
    logins: {
      owner: loginState('owner'),
      app_a: loginState('app_a'),
      app_b: loginState('app_b'),
      readonly: loginState('readonly')
    },
    bytes: Number(database?.bytes ?? 0)
  }
}

/** Everything on the server that has the form of ours: groups too, as logins that are not open. */
export async function inventoryOf(session: Session): Promise<Inventory> {
  const databases = await session.rows<{ name: string; state: Present; bytes: string | null }>(
    `SELECT datname::text AS name, ${DATABASE_STATE} AS state, ${SIZE} AS bytes
     FROM pg_catalog.pg_database WHERE datname ~ '^${ourForm}$' ORDER BY datname`
  )
  const logins = await session.rows<{ name: string; open: boolean }>(
    `SELECT rolname::text AS name, rolcanlogin AS open
     FROM pg_catalog.pg_roles WHERE rolname ~ '^${ourForm}[a-z]*$' ORDER BY rolname`
  )
  return {
    databases: databases
      .filter(({ name }) => databaseIdOf(name))
      .map(({ name, state, bytes }) => ({ name, state, bytes: Number(bytes ?? 0) })),
    logins: logins.filter(({ name }) => isRoleOfOurs(name))
  }
}
