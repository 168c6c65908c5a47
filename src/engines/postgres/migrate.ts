import { SaasctlError } from '../../errors.js'
import type { MigrationFile } from '../engine.js'
import { LockPatience } from '../lock-patience.js'
import { answerOf, LOCK_NOT_FREE } from './errors.js'
import { GUARD_STATEMENTS, guard, record, refusalOf, type Step } from './ledger.js'
import { applyUnwrapped } from './migrate-unwrapped.js'
import { failure } from './migration-failure.js'
import type { Session } from './session.js'

/** An app login that takes the lock again pays with its session each time; after this many it counts as held. */
const LOCK_TRIES = 5

/**
 * Applies one file in one direction. Nothing is done when the ledger already stands as it would afterwards.
 * `freeLock` ends sessions that hold the migration lock without a right to, and says whether there was one.
 */
export async function apply(
  session: Session,
  file: MigrationFile,
  direction: Step['direction'],
  after: string | null,
  freeLock: () => Promise<boolean>
): Promise<void> {
  const sql = direction === 'up' ? file.up : file.down
  if (sql === null) {
    throw new SaasctlError('MIGRATION_FAILED', `Migration ${file.name} has no down part: it cannot be undone.`, {
      hint: 'Write a "-- Down Migration" part, or undo it in a new migration.'
    })
  }
  const step: Step = { file, direction, after, sql }
  for (let tries = 1; ; tries += 1) {
    try {
      return await (file.options.transaction ? applyWrapped(session, step) : applyUnwrapped(session, step))
    } catch (error) {
      if (refusalOf(error)?.why !== 'locked') throw error
      if (tries === LOCK_TRIES || !(await freeLock())) throw lockHeld(session)
    }
  }
}

const lockHeld = ({ place }: Session) =>
  new SaasctlError('SERVER_BUSY', `Another migration is running in database "${place.database}".`, {
    hint: 'It is tried again; `node-pg-migrate` may be at work there by hand.',
    retryable: true
  })

/** Everything in one message: one round trip is the floor (5.2 ms a database against 8-11 of node-pg-migrate's nine). */
async function applyWrapped(session: Session, step: Step): Promise<void> {
  const patience = new LockPatience(step.file.options.lockTimeoutMs)
  for (;;) {
    const head = headOf(step, patience.waitMs)
    try {
      return await session.run(head + step.sql + footOf(step))
    } catch (error) {
      await session.rollback()
      if (refusalOf(error)?.why === 'done') return
      const again = answerOf(error)?.state === LOCK_NOT_FREE && (await patience.again())
      if (!again) throw failure(error, session, step, { length: head.length, statements: HEAD_STATEMENTS })
    }
  }
}

function headOf(step: Step, lockTimeoutMs: number): string {
  const { statementTimeoutMs } = step.file.options
  return `BEGIN;
    SET LOCAL lock_timeout = ${lockTimeoutMs};
    SET LOCAL statement_timeout = ${statementTimeoutMs ?? 0};
    ${guard(step, 'pg_try_advisory_xact_lock')};
    SET LOCAL saasctl.transaction = 'migration';
    SET LOCAL search_path = public;
`
}

const HEAD_STATEMENTS = 5 + GUARD_STATEMENTS

/** The file may have changed roles and settings for the session; the ledger row and what follows must not see that. */
const footOf = (step: Step) => `
    ;RESET ROLE;
    SET LOCAL search_path = pg_catalog, pg_temp;
    ${record(step, STILL_IN_TRANSACTION)};
    COMMIT`

/** A COMMIT in the file takes the mark away with the transaction: then its ledger row must not be written. */
const STILL_IN_TRANSACTION = `pg_catalog.current_setting('saasctl.transaction', true) = 'migration'`
