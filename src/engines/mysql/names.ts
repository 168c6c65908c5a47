import { createHash } from 'node:crypto'
import { databaseIdOf, databaseName } from '../../names.js'
import type { DatabaseNames, LoginRole } from '../engine.js'

const suffixes: Record<LoginRole, string> = { owner: 'own', app_a: 'a', app_b: 'b', readonly: 'ro' }

/**
 * The names of one database. Logins are 30 characters at most: MySQL takes 32. Rights go to each login, so the two groups
 * are names that nobody bears.
 */
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

/** One that was there before: it cannot be renamed, so only its logins have names of ours. */
export const adoptedNames = (databaseId: string, database: string): DatabaseNames => ({
  ...namesOf(databaseId),
  database
})

/**
 * The database beside a tenant's that holds what is ours: identity row, ledger, journal. MySQL has no schemas, and no way
 * to take a right on one table out of a right on all: in the tenant's own database the app could write them.
 */
export const recordsOf = (database: string): string => `${formed(database)}ctl`

/** An adopted database keeps its own name. Its records have one of our form, made from that: control's rights reach no other. */
function formed(database: string): string {
  if (databaseIdOf(database) !== undefined || database === ourPattern) return database
  const hex = createHash('sha256').update(`adopted/${database}`).digest('hex')
  return databaseName(
    `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20, 32)}`
  )
}

/** Whether a login on the server has the form of ours. */
export function isLoginOfOurs(name: string): boolean {
  return databaseIdOf(name.slice(0, 27)) !== undefined && Object.values(suffixes).includes(name.slice(27))
}

/** The form of our database names as a regular expression, for queries that narrow before `databaseIdOf` decides. */
export const ourForm = 't[0-7][0-9a-hjkmnp-tv-z]{25}'

/** The same for GRANT, where `_` is any one character: control's rights reach databases with names as long as ours only. */
export const ourPattern = `t${'_'.repeat(26)}`
