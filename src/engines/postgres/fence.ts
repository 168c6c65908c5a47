import { createHash } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { SaasctlError } from '../../errors.js'
import type { Fence } from '../engine.js'
import { ourForm } from './names.js'
import type { Session } from './session.js'
import { endSessions } from './terminate.js'

const PATIENCE_MS = 10_000

/** What every session of an operation is called on the server: at most 63 characters, or PostgreSQL cuts it. */
export const sessionName = ({ operation, epoch }: Pick<Fence, 'operation' | 'epoch'>): string =>
  `saasctl/${operation}/${epoch}`

/**
 * Makes the session the only one that acts for its operation: ends those of older epochs wherever on the server they
 * are, takes its lock, and only then asks the catalog whether the epoch still stands.
 * A process that was overtaken meanwhile gets FENCED from `confirm`; the lock held elsewhere for 10 s is SERVER_BUSY.
 */
export async function enterFence(session: Session, fence: Fence): Promise<void> {
  // The first epoch has none before it.
  if (fence.epoch > 1) await endSessions(session, olderThan(fence))
  await takeLock(session, fence)
  await fence.confirm()
}

/** Only sessions of control and of owner logins: what an app login calls itself decides nothing here. */
const olderThan = ({ operation, epoch }: Fence) => ({
  where: `(usename = current_user OR usename ~ '^${ourForm}own$')
    AND CASE WHEN application_name ~ '^saasctl/[0-9a-f-]+/[0-9]+$'
      THEN pg_catalog.split_part(application_name, '/', 2) = $1
        AND pg_catalog.split_part(application_name, '/', 3)::pg_catalog.numeric < $2::pg_catalog.numeric
      ELSE false END`,
  values: [operation, epoch],
  what: `of older tries of operation ${operation}`
})

async function takeLock(session: Session, { operation, lock }: Fence): Promise<void> {
  const key = lockKey(lock)
  const until = Date.now() + PATIENCE_MS
  for (let pause = 5; !(await tryLock(session, key)); pause = Math.min(pause * 2, 200)) {
    if (Date.now() > until) {
      throw new SaasctlError(
        'SERVER_BUSY',
        `Operation ${operation} waits for the lock "${lock}" on the server, which another session holds.`,
        {
          hint: 'Another operation works on the same thing; it is tried again.',
          retryable: true
        }
      )
    }
    await sleep(pause)
  }
}

async function tryLock(session: Session, key: string): Promise<boolean> {
  const [row] = await session.rows<{ got: boolean }>('SELECT pg_catalog.pg_try_advisory_lock($1::bigint) AS got', [key])
  return row?.got === true
}

/** Advisory locks are per database: this one is taken in the maintenance database, where no tenant may connect. */
function lockKey(lock: string): string {
  return createHash('sha256').update(`saasctl/${lock}`).digest().readBigInt64BE(0).toString()
}
