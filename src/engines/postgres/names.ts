import { databaseIdOf, databaseName } from '../../names.js'
import type { DatabaseNames, LoginRole } from '../engine.js'

const suffixes: Record<LoginRole, string> = { owner: 'own', app_a: 'a', app_b: 'b', readonly: 'ro' }

/** The names of one database. The group of members is named like the database, for `samerole` in pg_hba.conf. */
export function namesOf(databaseId: string): DatabaseNames {
  const database = databaseName(databaseId)
  return {
    database,
    members: database,
    app: `${database}app`,
    logins: {
      owner: `${database}${suffixes.owner}`,
      app_a: `${database}${suffixes.app_a}`,
      app_b: `${database}${suffixes.app_b}`,
      readonly: `${database}${suffixes.readonly}`
    }
  }
}

/** Every role of one database: the two groups and the four logins. */
export function rolesOf(names: DatabaseNames): string[] {
  return [names.members, names.app, ...Object.values(names.logins)]
}

/** Whether a role on the server has the form of ours. */
export function isRoleOfOurs(name: string): boolean {
  const suffix = name.slice(27)
  return databaseIdOf(name.slice(0, 27)) !== undefined && ['', 'app', ...Object.values(suffixes)].includes(suffix)
}

/** The form of our database names as a POSIX regular expression, for queries that narrow before `databaseIdOf` decides. */
export const ourForm = 't[0-7][0-9a-hjkmnp-tv-z]{25}'
