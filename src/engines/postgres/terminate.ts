import { setTimeout as sleep } from 'node:timers/promises'
import { SaasctlError } from '../../errors.js'
import type { Session } from './session.js'

const PATIENCE_MS = 10_000

/** Which sessions: a condition on pg_stat_activity, with its parameters from `$1`, and how a message names them. */
export interface Sessions {
  where: string
  values: unknown[]
  what: string
}

export const ofLogins = (logins: string[]): Sessions => ({
  where: 'usename = ANY ($1)',
  values: [logins],
  what: `of ${logins.join(', ')}`
})

export const inDatabase = (database: string): Sessions => ({
  where: 'datname = $1',
  values: [database],
  what: `in database "${database}"`
})

/** Ends sessions and returns when none is left. Waits at most 10 s, then SERVER_BUSY. */
export async function endSessions(session: Session, sessions: Sessions): Promise<void> {
  const until = Date.now() + PATIENCE_MS
  for (let pause = 5; await terminate(session, sessions); pause = Math.min(pause * 2, 200)) {
    if (Date.now() > until) {
      throw new SaasctlError('SERVER_BUSY', `Sessions ${sessions.what} did not end within ${PATIENCE_MS / 1000} s.`, {
        retryable: true
      })
    }
    await sleep(pause)
  }
}

/** Like `endSessions`, for doors that were closed a moment ago. */
export async function endLateSessions(session: Session, sessions: Sessions): Promise<void> {
  await endSessions(session, sessions)
  // Who passed the door just before it closed is listed only some milliseconds later, when its start-up is done.
  await sleep(25)
  await endSessions(session, sessions)
}

/** Returns when the sessions have ended by themselves, or when the time is over. */
export async function sessionsGone(session: Session, sessions: Sessions, patienceMs: number): Promise<void> {
  const until = performance.now() + patienceMs
  while (performance.now() < until && (await find(session, sessions, 'pid')) > 0) await sleep(50)
}

/** The kind of a backend is hidden from control; only those of clients have a login and a database. */
function terminate(session: Session, sessions: Sessions): Promise<number> {
  return find(session, sessions, 'pid, pg_catalog.pg_terminate_backend(pid)')
}

async function find(session: Session, { where, values }: Sessions, columns: string): Promise<number> {
  const found = await session.rows(
    `SELECT ${columns} FROM pg_catalog.pg_stat_activity WHERE pid <> pg_catalog.pg_backend_pid() AND ${where}`,
    values
  )
  return found.length
}
