import type { RoutedWay } from '../../routing.js'
import { identityOf } from '../identity.js'
import { literal } from '../quote.js'

/**
 * Stand above what server and login say. A mode with NO_BACKSLASH_ESCAPES would turn the driver's quoting into a hole,
 * IGNORE_SPACE is what the driver itself asks for, and times are UTC on both sides, whatever zone either of them lives in.
 */
const MODES =
  'STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION,IGNORE_SPACE'

/** MariaDB's alone, and MySQL means to do without it. */
const FORGET = '/*M!100100 , profiling_history_size = 0 */'

/** No mode of this name exists: setting it is the server's way to say no. */
const NO = 'not_the_expected_database'

/**
 * One statement that puts a session's settings and proves where it is: it fails, and sets nothing, unless there is exactly
 * one identity row with this id; two are a subquery's error. Each flavour reads its own time limit; MySQL has one for SELECT alone. The history of a
 * session's statements is all that changing the user leaves behind on MariaDB (SHOW PROFILES), so it is emptied here.
 */
export function settingsFor({ database, databaseId, statementTimeoutMs, idleInTransactionMs }: RoutedWay): string {
  const proof = `(SELECT database_id FROM ${identityOf(database)}) = ${literal(databaseId)}`
  const settings = [
    `SET SESSION sql_mode = IF(${proof}, ${literal(MODES)}, ${literal(NO)})`,
    "time_zone = '+00:00'",
    'autocommit = 1'
  ]
  return settings.join(', ') + FORGET + limit(statementTimeoutMs) + idleLimit(idleInTransactionMs ?? null)
}

/** Seconds on MariaDB, milliseconds on MySQL; each passes over what is for the other. */
function limit(milliseconds: number | null): string {
  if (milliseconds === null) return ''
  return `/*M!100108 , max_statement_time = ${milliseconds / 1000} *//*!80000 , max_execution_time = ${milliseconds} */`
}

/** Whole seconds, and 0 would be none. MySQL has no such limit: there the router alone keeps it. */
function idleLimit(milliseconds: number | null): string {
  if (milliseconds === null) return ''
  return `/*M!100300 , idle_transaction_timeout = ${Math.ceil(milliseconds / 1000)} */`
}
