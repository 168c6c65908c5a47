import { SaasctlError } from '../../errors.js'
import { type Answer, answerOf, LOCK_NOT_FREE } from './errors.js'
import { refusalOf, type Step } from './ledger.js'
import { type Head, lineAt } from './line.js'
import type { Session } from './session.js'

/**
 * Says in which file and line a migration stopped and what is left of it. What says nothing about the migration, such as
 * a lost connection, a full disk or the lock held elsewhere, stays the error that it was.
 */
export function failure(error: unknown, session: Session, step: Step, head?: Head): unknown {
  const answer = answerOf(error)
  if (!answer || !(error instanceof SaasctlError)) return error
  const { file } = step
  const { database } = session.place
  const line = head && lineAt(answer, step.sql, head)
  const number = line === undefined ? '' : `:${(file.lines?.[step.direction] ?? 1) + line - 1}`
  const where = `${file.name}${number}, in database "${database}"`
  const refusal = refusalOf(error)
  switch (refusal?.why) {
    case 'moved':
      return new SaasctlError(
        'MIGRATION_CHANGED',
        `Migration ${file.name} was planned after ${step.after ?? 'nothing'}, but in database "${database}" the ledger ends at ${refusal.found}.`,
        { hint: 'Somebody else migrated meanwhile: plan again.' }
      )
    case 'locked':
      return error
    case 'ended':
      return new SaasctlError(
        'MIGRATION_FAILED',
        `Migration ${where}, ended its own transaction: what stood before its COMMIT is kept, and it is not recorded.`,
        { hint: 'Take COMMIT and ROLLBACK out of the file, and undo by hand what was kept.' }
      )
  }
  switch (answer.state) {
    case LOCK_NOT_FREE:
    case '40P01':
      return new SaasctlError('SERVER_BUSY', `Migration ${where}, did not get a lock in time: ${answer.said}.`, {
        hint: 'It is tried again; a "-- saasctl: lock_timeout=10s" line waits longer.',
        retryable: true
      })
    default:
      return failedByServer(error, answer, where, file.options.transaction)
  }
}

function failedByServer(error: SaasctlError, answer: Answer, where: string, transaction: boolean): SaasctlError {
  // A broken connection or a full disk says nothing about the migration; its own rights and timeout do.
  const ours = ['SERVER_FAILED', 'SERVER_RIGHTS'].includes(error.code) || answer.state === '57014'
  if (!ours) return error
  const left = transaction ? 'Nothing of it was kept' : 'The statements before it are kept'
  return new SaasctlError(
    'MIGRATION_FAILED',
    `Migration ${where}, failed: ${answer.said} (${answer.state}). ${left}.`,
    {
      hint: 'Mend the file, then migrate again.',
      data: { sqlstate: answer.state }
    }
  )
}
