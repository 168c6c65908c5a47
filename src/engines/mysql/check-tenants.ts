import type { Finding } from '../engine.js'
import { ok, wrong } from './findings.js'
import { isLoginOfOurs, ourForm, recordsOf } from './names.js'
import { account, id, literal } from './quote.js'
import type { Session } from './session.js'

/** Looks at the tenants' logins and databases from outside for what must not be. */
export async function checkTenants(session: Session): Promise<Finding[]> {
  const findings = [...(await powers(session)), ...(await foreign(session)), ...(await otherHosts(session))]
  return findings.length > 0 ? findings : [ok('tenants', 'No login of a tenant has more than its own database.')]
}

/** A right on the whole server reaches beyond the login's database. */
async function powers(session: Session): Promise<Finding[]> {
  const rows = await session.rows<{ name: string; host: string; verb: string }>(
    `SELECT SUBSTRING_INDEX(SUBSTRING_INDEX(GRANTEE, '''', 2), '''', -1) AS name,
       SUBSTRING_INDEX(SUBSTRING_INDEX(GRANTEE, '''', -2), '''', 1) AS host, PRIVILEGE_TYPE AS verb
     FROM information_schema.USER_PRIVILEGES
     WHERE GRANTEE REGEXP ? AND PRIVILEGE_TYPE <> 'USAGE' ORDER BY 1, 3`,
    [`^'${ourForm}`]
  )
  return rows
    .filter(({ name }) => isLoginOfOurs(name))
    .map(({ name, host, verb }) =>
      wrong(
        'tenants.power',
        `The login "${name}" of a tenant has the right ${verb} on the whole server.`,
        `REVOKE ${verb} ON *.* FROM ${literal(name)}@${literal(host)};`
      )
    )
}

/** Rights on a database of ours belong to its own logins, and logins of ours have rights there alone. */
async function foreign(session: Session): Promise<Finding[]> {
  const rows = await session.rows<{ db: string; user: string; host: string }>(
    `SELECT Db AS db, User AS user, Host AS host FROM mysql.db
     WHERE (Db REGEXP ? OR User REGEXP ?) AND LEFT(Db, 27) <> LEFT(User, 27) ORDER BY 1, 2`,
    [`^${ourForm}(ctl)?$`, `^${ourForm}(own|a|b|ro)$`]
  )
  const own = adopted(rows)
  return rows
    .filter(({ db, user }) => !own.has(`${user.slice(0, 27)}/${plain(db)}`))
    .map(({ db, user, host }) =>
      wrong(
        'tenants.foreign',
        `The login "${user}" has rights on the database "${db}", which is not its own.`,
        `REVOKE ALL PRIVILEGES ON ${id(db)}.* FROM ${literal(user)}@${literal(host)};`
      )
    )
}

/** An adopted database kept its name. It is theirs whose owner has the records that are made for this name. */
function adopted(rows: ReadonlyArray<{ db: string; user: string }>): Set<string> {
  const owners = new Set(rows.filter(({ user }) => user.endsWith('own')).map(({ db, user }) => `${user}/${plain(db)}`))
  const own = new Set<string>()
  for (const { db, user } of rows) {
    const group = user.slice(0, 27)
    const records = recordsOf(plain(db))
    if (!owners.has(`${group}own/${records}`)) continue
    own.add(`${group}/${plain(db)}`)
    own.add(`${group}/${records}`)
  }
  return own
}

/** A database's name as it is, of a grant that escapes what would stand for others. */
const plain = (granted: string) => granted.replace(/\\([_%\\])/g, '$1')

/** An account of the same name at a host is another account: it is chosen first there, and has a password of its own. */
async function otherHosts(session: Session): Promise<Finding[]> {
  const rows = await session.rows<{ name: string; host: string }>(
    `SELECT User AS name, Host AS host FROM mysql.user WHERE User REGEXP ? AND Host <> '%' ORDER BY 1, 2`,
    [`^${ourForm}(own|a|b|ro)$`]
  )
  return rows.map(({ name, host }) =>
    wrong(
      'tenants.double',
      `There is a second login "${name}" for the host "${host}", which takes the place of ${account(name)} there.`,
      `DROP USER ${literal(name)}@${literal(host)};`
    )
  )
}
