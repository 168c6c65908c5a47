import { databaseIdOf } from '../../names.js'
import type { DatabaseNames, DatabaseState, Inventory, LoginRole } from '../engine.js'
import { accountsLike, accountsNamed } from './accounts.js'
import { isLoginOfOurs, namesOf, ourForm, recordsOf } from './names.js'
import { grantName } from './quote.js'
import type { Session } from './session.js'

/**
 * From the statistics that InnoDB keeps in a table: in information_schema the server would open every table there is.
 * They follow the data by some seconds.
 */
const SIZES = `SELECT LEFT(database_name, 27) AS name,
    SUM(clustered_index_size + sum_of_other_index_sizes) * @@innodb_page_size AS bytes
  FROM mysql.innodb_table_stats WHERE`

/** What there is of one database and its logins. */
export async function stateOf(session: Session, names: DatabaseNames): Promise<DatabaseState> {
  const { database, logins } = names
  const [found] = await session.rows<{ there: number; guarded: number; bytes: string | null }>(
    `SELECT
      EXISTS (SELECT 1 FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = ?) AS there,
      EXISTS (SELECT 1 FROM mysql.db WHERE Db = ? AND User = ?) AS guarded,
      (SELECT SUM(bytes) FROM (${SIZES} database_name IN (?, ?) GROUP BY 1) AS sizes) AS bytes`,
    [database, grantName(database), logins.owner, database, recordsOf(database)]
  )
  const accounts = await accountsNamed(session, Object.values(logins))
  const loginState = (role: LoginRole) => {
    const account = accounts.find(({ name }) => name === logins[role])
    return account ? (account.open ? 'open' : 'closed') : 'absent'
  }
  return {
    database: found?.there ? (found.guarded ? 'open' : 'closed') : 'absent',
    logins: {
      owner: loginState('owner'),
      app_a: loginState('app_a'),
      app_b: loginState('app_b'),
      readonly: loginState('readonly')
    },
    bytes: found?.there ? Number(found.bytes ?? 0) : 0
  }
}

/** Everything on the server that has the form of ours. */
export async function inventoryOf(session: Session): Promise<Inventory> {
  const form = `^${ourForm}$`
  const schemas = await session.rows<{ name: string }>(
    'SELECT SCHEMA_NAME AS name FROM information_schema.SCHEMATA WHERE SCHEMA_NAME REGEXP ? ORDER BY 1',
    [form]
  )
  const owners = await session.rows<{ db: string; user: string }>(
    'SELECT Db AS db, User AS user FROM mysql.db WHERE Db REGEXP ?',
    [form]
  )
  const sizes = await session.rows<{ name: string; bytes: string }>(`${SIZES} database_name REGEXP ? GROUP BY 1`, [
    `^${ourForm}(ctl)?$`
  ])
  const guarded = new Set(owners.map(({ db, user }) => `${db} ${user}`))
  const bytes = new Map(sizes.map(size => [size.name, Number(size.bytes)]))
  const databases = schemas.flatMap(({ name }) => {
    const databaseId = databaseIdOf(name)
    if (databaseId === undefined) return []
    const state = guarded.has(`${name} ${namesOf(databaseId).logins.owner}`) ? 'open' : 'closed'
    return { name, state, bytes: bytes.get(name) ?? 0 } as const
  })
  const logins = (await accountsLike(session, ourForm)).filter(({ name }) => isLoginOfOurs(name))
  return { databases, logins }
}
