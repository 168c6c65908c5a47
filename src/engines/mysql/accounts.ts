import type { Session } from './session.js'

export interface Account {
  name: string
  open: boolean
}

/** Where each flavour keeps logins and their locks. `%` is the host of every account of ours. */
const ACCOUNTS = {
  mariadb: `SELECT User AS name, COALESCE(JSON_VALUE(Priv, '$.account_locked'), '0') IN ('1', 'true') AS locked
    FROM mysql.global_priv WHERE Host = '%'`,
  mysql: `SELECT User AS name, account_locked = 'Y' AS locked FROM mysql.user WHERE Host = '%'`
}

/** Those of the logins that there are. */
export async function accountsNamed(session: Session, logins: string[]): Promise<Account[]> {
  return await accounts(session, 'User IN (?)', [logins])
}

/** Those whose name begins with one of our form, by that name. */
export async function accountsLike(session: Session, form: string): Promise<Account[]> {
  return await accounts(session, 'User REGEXP ? ORDER BY User', [`^${form}`])
}

async function accounts(session: Session, where: string, values: unknown[]): Promise<Account[]> {
  const rows = await session.rows<{ name: string; locked: number }>(`${ACCOUNTS[session.flavour]} AND ${where}`, values)
  return rows.map(({ name, locked }) => ({ name, open: !locked }))
}
