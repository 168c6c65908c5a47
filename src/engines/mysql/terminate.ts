import { setTimeout as sleep } from 'node:timers/promises'
import { SaasctlError } from '../../errors.js'
import { answerOf } from './errors.js'
import type { Session } from './session.js'

const PATIENCE_MS = 10_000

/** Which sessions: gives their numbers, and how a message names them. */
export interface Sessions {
  find(session: Session): Promise<number[]>
  what: string
}

export const ofLogins = (logins: string[]): Sessions => ({
  find: session => listed(session, 'USER IN (?)', [logins]),
  what: `of ${logins.join(', ')}`
})

/** Whoever sits in one of the databases, whatever it is called. */
export const inDatabases = (databases: string[]): Sessions => ({
  find: session => listed(session, 'DB IN (?)', [databases]),
  what: `in database "${databases[0]}"`
})

/** Ends sessions and returns when none is left. Waits at most 10 s, then SERVER_BUSY: a rollback may take its time. */
export async function endSessions(session: Session, sessions: Sessions): Promise<void> {
  const until = Date.now() + PATIENCE_MS
  for (let pause = 5; await kill(session, await sessions.find(session)); pause = Math.min(pause * 2, 200)) {
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
  // Who passed the door just before it closed is listed under its name only when its login is through.
  await sleep(25)
  await endSessions(session, sessions)
}

/** Returns when the sessions have ended by themselves, or when the time is over. */
export async function sessionsGone(session: Session, sessions: Sessions, patienceMs: number): Promise<void> {
  const until = performance.now() + patienceMs
  while (performance.now() < until && (await sessions.find(session)).length > 0) await sleep(50)
}

/** How many there were to end. One that ended by itself meanwhile (1094) is one less. */
async function kill(session: Session, ids: number[]): Promise<number> {
  for (const id of ids) {
    await session.run(`KILL CONNECTION ${id}`).catch(error => {
      if (answerOf(error)?.state !== '1094') throw error
    })
  }
  return ids.length
}

async function listed(session: Session, where: string, values: unknown[]): Promise<number[]> {
  const rows = await session.rows<{ id: number }>(
    `SELECT ID AS id FROM information_schema.PROCESSLIST WHERE ID <> CONNECTION_ID() AND ${where}`,
    values
  )
  return rows.map(({ id }) => Number(id))
}
