import { SaasctlError } from '../../errors.js'
import type { MigrationFile } from '../engine.js'
import { LockPatience } from '../lock-patience.js'
import { SETTINGS } from './connect.js'
import { type Described, describe } from './fingerprint.js'
import { Journal } from './journal.js'
import { applied, record } from './ledger.js'
import { endedItself, failure, lockNotFree } from './migration-failure.js'
import { whileLocked } from './migration-lock.js'
import { type Part, partsOf, refuseUnsafe } from './parts.js'
import type { Step } from './records.js'
import { resume } from './resume.js'
import type { Session } from './session.js'

/**
 * Applies one file in one direction. Nothing is done when the ledger already stands as it would afterwards.
 *
 * A statement about the schema commits itself, so that no transaction holds a file together. Each is written down before
 * and after, with the schema's fingerprint; statements about rows commit together with what is written of them. A try that
 * was cut short anywhere goes on where it stood, and no statement happens twice.
 */
export async function apply(
  session: Session,
  file: MigrationFile,
  direction: Step['direction'],
  after: string | null
): Promise<void> {
  const sql = direction === 'up' ? file.up : file.down
  if (sql === null) {
    throw new SaasctlError('MIGRATION_FAILED', `Migration ${file.name} has no down part: it cannot be undone.`, {
      hint: 'Write a "-- Down Migration" part, or undo it in a new migration.'
    })
  }
  const step: Step = { file, direction, after, sql }
  const parts = partsOf(sql)
  refuseUnsafe(step, parts, session.place.database)
  await whileLocked(session, async () => {
    if (await isDone(session, step)) return
    await patiently(session, step, () => run(session, step, parts))
  })
}

/** The journal lets a file that waited in vain go on at the statement that did. */
async function patiently(session: Session, step: Step, act: () => Promise<void>): Promise<void> {
  const patience = new LockPatience(step.file.options.lockTimeoutMs)
  for (;;) {
    try {
      return await withSettings(session, step, patience.waitMs, act)
    } catch (error) {
      if (!lockNotFree(error) || session.inDoubt || !(await patience.again())) throw error
    }
  }
}

/** Refuses when the ledger does not end at `after`: somebody else migrated meanwhile. */
async function isDone(session: Session, { file, direction, after }: Step): Promise<boolean> {
  const names = (await applied(session)).map(({ name }) => name)
  const last = names.at(-1) ?? null
  const done = direction === 'up' ? last === file.name && (names.at(-2) ?? null) === after : !names.includes(file.name)
  if (!done && last !== after) {
    throw new SaasctlError(
      'MIGRATION_CHANGED',
      `Migration ${file.name} was planned after ${after ?? 'nothing'}, but in database "${session.place.database}" the ledger ends at ${last ?? 'nothing'}.`,
      { hint: 'Somebody else migrated meanwhile: plan again.' }
    )
  }
  return done
}

/** The settings that each file begins with. It may change them for itself: the next one does not see that. */
async function withSettings(session: Session, { file }: Step, waitMs: number, act: () => Promise<void>): Promise<void> {
  const { statementTimeoutMs } = file.options
  // Both servers count the waiting for a lock in whole seconds.
  const seconds = Math.ceil(waitMs / 1000)
  await session.run(SETTINGS)
  await session.run(`SET SESSION default_storage_engine = InnoDB, SESSION lock_wait_timeout = ${seconds},
    SESSION innodb_lock_wait_timeout = ${seconds}, ${timeLimit(session, statementTimeoutMs ?? 0)}`)
  try {
    await act()
  } finally {
    if (!session.inDoubt) {
      await session.run(`SET SESSION ${timeLimit(session, 0)}`)
      await session.run(SETTINGS)
    }
  }
}

/** MySQL bounds SELECT alone. */
const timeLimit = ({ flavour }: Session, ms: number): string =>
  flavour === 'mariadb' ? `max_statement_time = ${ms / 1000}` : `max_execution_time = ${ms}`

async function run(session: Session, step: Step, parts: Part[]): Promise<void> {
  const journal = new Journal(session)
  let { position, now } = await resume(session, journal, step, parts)
  // What the session knew ended with it: user variables and settings are set again, in their order.
  for (const part of parts.slice(0, position)) {
    if (part.kind === 'session') await tell(session, step, part, () => session.run(part.sql))
  }
  while (position < parts.length) {
    const part = parts[position] as Part
    if (part.kind === 'schema') {
      now = await changeSchema(session, journal, step, position, part, now)
      position += 1
    } else {
      position = await writeRows(session, journal, step, position, parts)
    }
  }
  await session.run('START TRANSACTION')
  await session.run(record(step, session.place.database))
  await journal.forget()
  await session.run('COMMIT')
}

async function changeSchema(
  session: Session,
  journal: Journal,
  step: Step,
  position: number,
  part: Part,
  known: Described | undefined
): Promise<Described> {
  const before = known ?? (await describe(session))
  await journal.begin(step, position, part, before)
  try {
    await session.run(part.sql)
  } catch (error) {
    // An error that left the schema as it was leaves nothing to find out about.
    if (!session.inDoubt && (await describe(session)).fingerprint === before.fingerprint) await journal.forget(position)
    throw failure(error, session, step, part)
  }
  const after = await describe(session)
  await journal.done(position, after.fingerprint)
  return after
}

/** Runs statements up to the next one about the schema, in one transaction if the file allows it. Gives where it stopped. */
async function writeRows(session: Session, journal: Journal, step: Step, from: number, parts: Part[]): Promise<number> {
  const next = parts.findIndex(({ kind }, index) => index >= from && kind === 'schema')
  const end = step.file.options.transaction ? (next < 0 ? parts.length : next) : from + 1
  await session.run('START TRANSACTION')
  for (const [index, part] of parts.slice(from, end).entries()) {
    await tell(session, step, part, async () => {
      await session.run(part.sql)
      // Its answer says whether the transaction is still there.
      await session.run('DO 0')
    })
    if (!session.inDoubt) throw endedItself(session, step, part)
    if (part.kind === 'rows') await journal.wrote(step, from + index, part)
  }
  await session.run('COMMIT')
  return end
}

async function tell(session: Session, step: Step, part: Part, act: () => Promise<unknown>): Promise<void> {
  try {
    await act()
  } catch (error) {
    await session.rollback().catch(() => session.destroy())
    throw failure(error, session, step, part)
  }
}
