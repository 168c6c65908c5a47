import { randomBytes } from 'node:crypto'
import type { AppliedMigration, Credentials, MigrationFile, ServerAddress } from '../engine.js'
import { connect } from './connect.js'
import { answerOf } from './errors.js'
import { SCHEMA } from './furnish.js'
import { literal } from './quote.js'
import type { Session } from './session.js'

/** node-pg-migrate's own table and lock: its command line and we see each other's work and wait for each other. */
export const LEDGER = `${SCHEMA}.pgmigrations`
export const LOCK_KEY = '7241865325823964'

/** One file in one direction, on top of a ledger that ends at `after`. */
export interface Step {
  file: MigrationFile
  direction: 'up' | 'down'
  after: string | null
  sql: string
}

/** In node-pg-migrate's order. */
export async function applied(session: Session): Promise<AppliedMigration[]> {
  return await session.rows<AppliedMigration>(
    `SELECT name, run_on::pg_catalog.timestamptz AS at FROM ${LEDGER} ORDER BY run_on, id`
  )
}

/** The same, as the owner who logs in for it and out again. */
export async function appliedMigrations(
  server: ServerAddress,
  database: string,
  owner: Credentials
): Promise<AppliedMigration[]> {
  const session = await connect(server, { database, as: owner, applicationName: 'saasctl/applied' })
  try {
    return await applied(session)
  } finally {
    await session.end()
  }
}

/** Why the guard let nothing happen. `moved` comes with what the ledger ends at instead. */
export interface Refusal {
  why: 'locked' | 'done' | 'moved' | 'ended'
  found: string
}

/**
 * Holds the migration lock, and refuses when the ledger does not end at `after`: somebody else migrated meanwhile. In two
 * statements, for the second must see what was committed before the lock was free.
 */
export function guard({ file, direction, after }: Step, lock: string): string {
  const name = literal(file.name)
  const expected = after === null ? 'NULL' : literal(after)
  const done =
    direction === 'up'
      ? `ends[1] = ${name} AND ends[2] IS NOT DISTINCT FROM ${expected}`
      : `NOT EXISTS (SELECT FROM ${LEDGER} WHERE name = ${name})`
  return `
    SELECT ${unless(`pg_catalog.${lock}(${LOCK_KEY})`, `${REFUSED}locked`)};
    SELECT CASE WHEN ${done} THEN '${REFUSED}done'
        WHEN ends[1] IS DISTINCT FROM ${expected} THEN '${REFUSED}moved [' || coalesce(ends[1], 'nothing') || ']'
        ELSE 'true' END::pg_catalog.bool
      FROM (SELECT ARRAY(SELECT name FROM ${LEDGER} ORDER BY run_on DESC, id DESC LIMIT 2)) AS ledger (ends)`
}

/** How many statements `guard` is. */
export const GUARD_STATEMENTS = 2

/** Writes down what was done, unless a condition does not hold: then it refuses, as `ended`. */
export function record({ file, direction }: Step, condition = 'true'): string {
  const name = literal(file.name)
  const allowed = unless(condition, `${REFUSED}ended`)
  return direction === 'up'
    ? `INSERT INTO ${LEDGER} (name, run_on) SELECT ${name}, pg_catalog.now() WHERE ${allowed}`
    : `DELETE FROM ${LEDGER} WHERE name = ${name} AND ${allowed}`
}

/** Why the ledger refused, where that is what an error is. */
export function refusalOf(error: unknown): Refusal | undefined {
  const [, why, found = ''] = SAID.exec(answerOf(error)?.said ?? '') ?? []
  return why === undefined ? undefined : { why: why as Refusal['why'], found }
}

/** With a part that nobody guesses: what a migration makes of a tenant's data can fail with any words of the tenant's. */
const REFUSED = `saasctl refuses ${randomBytes(8).toString('hex')}: `
/** The words around it, and its quotation marks, are in the server's language. */
const SAID = new RegExp(`${REFUSED}(locked|done|moved|ended)(?: \\[(.*)\\])?`, 's')

/**
 * Ends the message with an error, unless a condition holds, by a cast that cannot be made: SQL has no other way to fail, and
 * RAISE costs a session that has not loaded PL/pgSQL yet half a millisecond of the two that a small migration takes.
 */
const unless = (condition: string, text: string) =>
  `CASE WHEN ${condition} THEN 'true' ELSE '${text}' END::pg_catalog.bool`
