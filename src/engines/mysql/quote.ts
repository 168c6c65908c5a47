import mysql from 'mysql2'

/** Quotes a name for SQL. Our names are narrow types already; they are quoted anyway. */
export const id = (name: string): string => mysql.escapeId(name, true)

/** Quotes a value for statements that take no parameters. Right only while backslashes escape: `connect` pins that. */
export const literal = (value: string): string => mysql.escape(value)

/** A login as an account. Ours come from any host: who may reach the server is the network's to say. */
export const account = (login: string): string => `${literal(login)}@'%'`

/** A database in GRANT and REVOKE, where `_` and `%` would stand for others too. */
export const all = (database: string): string => `${id(grantName(database))}.*`

/** As the server keeps the name of such a grant. */
export const grantName = (database: string): string => database.replace(/[_%\\]/g, '\\$&')

const NAME = '(?:`(?:[^`]|``)+`|[\\w$]+)'

/**
 * Takes the database out of qualified names, or puts another in its place. A name is read to its end: the database may have
 * a table of its own name.
 */
export function requalified(sql: string, database: string, instead = ''): string {
  const head = id(database).replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
  return sql.replace(new RegExp(`${head}\\.(${NAME}(?:\\.${NAME})?)`, 'g'), (_, name: string) => `${instead}${name}`)
}
