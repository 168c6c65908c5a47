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
