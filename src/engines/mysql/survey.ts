import { SaasctlError } from '../../errors.js'
import { quoteInput } from '../../names.js'
import type { Finding, ServerAccess, Survey } from '../engine.js'
import { connect } from './connect.js'
import { isLoginOfOurs } from './names.js'
import { account, all, literal } from './quote.js'
import { ownerVerbs } from './recipe.js'
import type { Session } from './session.js'

const SYSTEM = ['mysql', 'information_schema', 'performance_schema', 'sys']

/** Reads the system's tables, as control. */
export async function survey(server: ServerAccess, database: string): Promise<Survey> {
  const session = await connect(server, { database: null, as: server.control, programName: 'saasctl/survey' })
  try {
    const missing = await missingVerbs(session, database)
    const [size] = await session.rows<{ there: number; bytes: string | null; sessions: number }>(
      `SELECT (SELECT COUNT(*) FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = ?) AS there,
        (SELECT SUM(clustered_index_size + sum_of_other_index_sizes) * @@innodb_page_size
          FROM mysql.innodb_table_stats WHERE database_name = ?) AS bytes,
        (SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE DB = ?) AS sessions`,
      [database, database, database]
    )
    // A database that control has no right to is not listed to it: then the statement below is the answer as well.
    if (SYSTEM.includes(database.toLowerCase()) || (!size?.there && missing.length === 0)) throw absent(database)
    const lacking: Finding[] =
      missing.length === 0
        ? []
        : [
            {
              level: 'error',
              code: 'adopt.rights',
              message: `Control lacks rights to database ${database}, if there is one.`,
              fix: `GRANT ${ownerVerbs.join(', ')} ON ${all(database)} TO ${account(server.control.login)} WITH GRANT OPTION;`
            }
          ]
    return {
      bytes: Number(size?.bytes ?? 0),
      owner: null,
      owners: [],
      losing: await others(session, database, server.control.login),
      sessions: Number(size?.sessions ?? 0),
      lacking
    }
  } finally {
    session.leave()
  }
}

const absent = (database: string) =>
  new SaasctlError('INVALID_INPUT', `The server has no database ${quoteInput(database)} to take over.`)

/** What control may not do in it, or may not give on. A right to all databases counts, and one by a pattern. */
async function missingVerbs(session: Session, database: string): Promise<string[]> {
  const rows = await session.rows<{ verb: string }>(
    `SELECT PRIVILEGE_TYPE AS verb FROM information_schema.SCHEMA_PRIVILEGES
       WHERE ? LIKE TABLE_SCHEMA AND IS_GRANTABLE = 'YES' AND GRANTEE = CONCAT('''', REPLACE(CURRENT_USER(), '@', '''@'''), '''')
     UNION SELECT PRIVILEGE_TYPE FROM information_schema.USER_PRIVILEGES
       WHERE IS_GRANTABLE = 'YES' AND GRANTEE = CONCAT('''', REPLACE(CURRENT_USER(), '@', '''@'''), '''')`,
    [database]
  )
  const may = new Set(rows.map(({ verb }) => verb))
  return ownerVerbs.filter(verb => !may.has(verb))
}

/** Whoever has rights to it by its name. Nothing takes those away but an administrator. */
async function others(session: Session, database: string, control: string): Promise<string[]> {
  const rows = await session.rows<{ user: string; host: string }>(
    'SELECT User AS user, Host AS host FROM mysql.db WHERE ? LIKE Db ORDER BY 1, 2',
    [database]
  )
  return rows
    .filter(({ user }) => user !== control && !isLoginOfOurs(user))
    .map(({ user, host }) => `${literal(user)}@${literal(host)}`)
}
