import type { AppliedMigration, Credentials, MigrationFile, ServerAddress } from '../engine.js'
import { connect } from './connect.js'
import { guardStates } from './errors.js'
import { SCHEMA } from './furnish.js'
import { block, literal } from './quote.js'
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

/** Holds the migration lock, and refuses when the ledger does not end at `after`: somebody else migrated meanwhile. */
export function guard({ file, direction, after }: Step, lock: string): string {
  const name = literal(file.name)
  const expected = after === null ? 'NULL' : literal(after)
  const done =
    direction === 'up'
      ? `ledger[1] = ${name} AND ledger[2] IS NOT DISTINCT FROM ${expected}`
      : `NOT EXISTS (SELECT FROM ${LEDGER} WHERE name = ${name})`
  return block(`
    DECLARE
      ledger text[];
    BEGIN
      IF NOT pg_catalog.${lock}(${LOCK_KEY}) THEN
        RAISE EXCEPTION 'another migration is running' USING ERRCODE = '${guardStates.locked}';
      END IF;
      ledger := ARRAY(SELECT name FROM ${LEDGER} ORDER BY run_on DESC, id DESC LIMIT 2);
      IF ${done} THEN
        RAISE EXCEPTION 'done already' USING ERRCODE = '${guardStates.done}';
      ELSIF ledger[1] IS DISTINCT FROM ${expected} THEN
        RAISE EXCEPTION 'the ledger ends at %', coalesce(ledger[1], 'nothing') USING ERRCODE = '${guardStates.moved}';
      END IF;
    END`)
}

export function record({ file, direction }: Step): string {
  return direction === 'up'
    ? `INSERT INTO ${LEDGER} (name, run_on) VALUES (${literal(file.name)}, pg_catalog.now())`
    : `DELETE FROM ${LEDGER} WHERE name = ${literal(file.name)}`
}
