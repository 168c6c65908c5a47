import type { Flavour } from './flavour.js'
import { ourPattern, recordsOf } from './names.js'
import { account, id } from './quote.js'

/** What an owner login does in its own database. No EVENT: an event would go on after its tenant was suspended. */
export const ownerVerbs = [
  'SELECT',
  'INSERT',
  'UPDATE',
  'DELETE',
  'CREATE',
  'DROP',
  'REFERENCES',
  'INDEX',
  'ALTER',
  'CREATE TEMPORARY TABLES',
  'LOCK TABLES',
  'EXECUTE',
  'CREATE VIEW',
  'SHOW VIEW',
  'CREATE ROUTINE',
  'ALTER ROUTINE',
  'TRIGGER'
]

/** An app reads and writes rows and calls what migrations made for it; it makes nothing. */
export const appVerbs = ['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'EXECUTE']

export const readonlyVerbs = ['SELECT', 'SHOW VIEW']

/** What the control login needs on the whole server. MySQL 8 has rights with an underscore in their names. */
export const controlRights = {
  mariadb: ['CREATE USER', 'PROCESS', 'CONNECTION ADMIN'],
  mysql: ['CREATE USER', 'PROCESS', 'CONNECTION_ADMIN', 'SHOW_ROUTINE']
} as const satisfies Record<Flavour, readonly string[]>

/** The statements that give a control login what it needs and nothing more, run by an administrator. */
export function recipe(flavour: Flavour, login: string): string[] {
  return [
    `GRANT ${controlRights[flavour].join(', ')} ON *.* TO ${account(login)}`,
    `GRANT SELECT ON mysql.* TO ${account(login)}`,
    ...[ourPattern, recordsOf(ourPattern)].map(
      pattern => `GRANT ${ownerVerbs.join(', ')} ON ${id(pattern)}.* TO ${account(login)} WITH GRANT OPTION`
    )
  ]
}
