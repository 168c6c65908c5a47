import { SaasctlError } from '../../errors.js'
import { recordTable } from './records.js'
import type { Session } from './session.js'

/**
 * Runs an act while nobody else migrates the database; SERVER_BUSY at once when somebody does.
 *
 * GET_LOCK is the whole server's and open to every login. The name carries the database's and a random part that only its
 * owner may read: whoever cannot name the lock cannot hold it back.
 */
export async function whileLocked<Result>(session: Session, act: () => Promise<Result>): Promise<Result> {
  const { database } = session.place
  const [lock] = await session.rows<{ name: string; got: number | null }>(
    `SELECT name, GET_LOCK(name, 0) AS got FROM ${recordTable(database, 'migration_lock')}`
  )
  // 0 is a lock that another session holds; NULL an error without words.
  if (!lock || Number(lock.got) !== 1) {
    throw new SaasctlError('SERVER_BUSY', `Another migration is running in database "${database}".`, {
      hint: 'It is tried again; the session of a try that was cut short may still be at its last statement.',
      retryable: true
    })
  }
  try {
    return await act()
  } finally {
    // A session in doubt is destroyed, and the lock with it.
    if (!session.inDoubt) await session.run('DO RELEASE_LOCK(?)', [lock.name])
  }
}
