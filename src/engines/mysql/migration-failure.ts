import { SaasctlError } from '../../errors.js'
import { answerOf } from './errors.js'
import { lineInFile, type Part } from './parts.js'
import type { Step } from './records.js'
import type { Session } from './session.js'

/** A lock on a table or row, or a deadlock of which this side was chosen to end. */
const LOCKS = ['1205', '1213', '1614', '3058', '3572']
const LOCK_NOT_FREE = '1205'
const TIMEOUTS = ['1969', '1970', '3024']

const waitedInVain = new WeakSet<object>()

/** Whether it failed because a lock was not free in time. */
export const lockNotFree = (error: unknown): boolean => typeof error === 'object' && waitedInVain.has(error ?? {})

/**
 * Says in which file and line a migration stopped and what is left of it. What says nothing about the migration, such as
 * a lost connection or a full disk, stays the error that it was.
 */
export function failure(error: unknown, session: Session, step: Step, part: Part): unknown {
  const answer = answerOf(error)
  if (!answer || !(error instanceof SaasctlError)) return error
  const { state = '', said } = answer
  const where = placeOf(session, step, part, said)
  if (LOCKS.includes(state)) {
    const busy = new SaasctlError('SERVER_BUSY', `Migration ${where}, did not get a lock in time: ${said}.`, {
      hint: 'It is tried again; a "-- saasctl: lock_timeout=10s" line waits longer.',
      retryable: true
    })
    if (state === LOCK_NOT_FREE) waitedInVain.add(busy)
    return busy
  }
  if (!['SERVER_FAILED', 'SERVER_RIGHTS'].includes(error.code) && !TIMEOUTS.includes(state)) return error
  return new SaasctlError('MIGRATION_FAILED', `Migration ${where}, failed: ${said} (${state}). ${left(part)}.`, {
    hint: 'Mend this statement and those behind it, then migrate again: it goes on there.',
    data: { errno: state }
  })
}

export function endedItself(session: Session, step: Step, part: Part): SaasctlError {
  return new SaasctlError(
    'MIGRATION_FAILED',
    `Migration ${placeOf(session, step, part, '')}, ended its own transaction: what stood before is kept, and it is not recorded.`,
    { hint: 'Call no routine that commits or changes the schema, and undo by hand what was kept.' }
  )
}

const left = ({ kind }: Part) =>
  kind === 'schema'
    ? 'The statements before it are kept'
    : 'The statements before it are kept, up to the last one that changed the schema'

function placeOf(session: Session, { file, direction }: Step, part: Part, said: string): string {
  // Counted by the server from the beginning of the statement.
  const further = Number(/\bat line (\d+)$/.exec(said)?.[1] ?? 1) - 1
  return `${file.name}:${lineInFile(file, direction, part.line) + further}, in database "${session.place.database}"`
}
