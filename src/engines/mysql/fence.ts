import { createHash } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { SaasctlError } from '../../errors.js'
import type { Fence } from '../engine.js'
import type { Session } from './session.js'
import { endSessions, type Sessions } from './terminate.js'

const PATIENCE_MS = 10_000

/** How many sessions one try of an operation may have on a server at once. */
const SEATS = 8

/** For performance_schema, where it is on. */
export const sessionName = ({ operation, epoch }: Pick<Fence, 'operation' | 'epoch'>): string =>
  `saasctl/${operation}/${epoch}`

/**
 * Sessions have no name here that others could look for. So each holds a lock that says whose it is: whoever asks gets the
 * number of its session from the server, and it is gone with the session. Names may be 64 characters long.
 */
const seat = ({ operation, epoch }: Pick<Fence, 'operation' | 'epoch'>, index: number): string =>
  `saasctl/${operation}/${epoch}/${index}`

/**
 * Makes the session the only one that acts for its operation: ends those of older epochs wherever on the server they
 * are, takes its lock, and only then asks the catalog whether the epoch still stands.
 * A process that was overtaken meanwhile gets FENCED from `confirm`; the lock held elsewhere for 10 s is SERVER_BUSY.
 */
export async function enterFence(session: Session, fence: Fence): Promise<void> {
  await takeSeat(session, fence)
  // The first epoch has none before it.
  if (fence.epoch > 1) await endSessions(session, olderThan(fence))
  await takeLock(session, fence)
  await fence.confirm()
}

/** Lets those who take the operation over find this session. The operation's number is random: nobody else knows its locks. */
export async function takeSeat(session: Session, fence: Fence): Promise<void> {
  for (let index = 0; index < SEATS; index += 1) {
    if (await tryLock(session, seat(fence, index))) return
  }
  throw new SaasctlError('SERVER_BUSY', `Operation ${fence.operation} has ${SEATS} sessions on the server already.`, {
    retryable: true
  })
}

const olderThan = ({ operation, epoch }: Fence): Sessions => ({
  find: async session => {
    const found: number[] = []
    for (let from = 1; from < epoch; from += 50) {
      const epochs = Array.from({ length: Math.min(50, epoch - from) }, (_, index) => from + index)
      const seats = epochs.flatMap(older =>
        Array.from({ length: SEATS }, (_, index) => seat({ operation, epoch: older }, index))
      )
      const [row] = await session.rows<{ ids: string }>(
        `SELECT CONCAT_WS(',', ${seats.map(() => 'IS_USED_LOCK(?)').join(', ')}) AS ids`,
        seats
      )
      found.push(...(row?.ids ?? '').split(',').filter(Boolean).map(Number))
    }
    return found
  },
  what: `of older tries of operation ${operation}`
})

async function takeLock(session: Session, { operation, lock }: Fence): Promise<void> {
  const name = lockName(lock)
  const until = Date.now() + PATIENCE_MS
  for (let pause = 5; !(await tryLock(session, name)); pause = Math.min(pause * 2, 200)) {
    await endSessions(session, strangersWith(name))
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

/** 0 is a lock that another holds, NULL an error without words: only 1 is ours. */
async function tryLock(session: Session, name: string): Promise<boolean> {
  const [row] = await session.rows<{ got: number | null }>('SELECT GET_LOCK(?, 0) AS got', [name])
  return Number(row?.got) === 1
}

/** Any login may take any lock of the server; of these only control's own logins have a use for one of ours. */
const strangersWith = (name: string): Sessions => ({
  find: async session => {
    const rows = await session.rows<{ id: number }>(
      `SELECT ID AS id FROM information_schema.PROCESSLIST
       WHERE ID = IS_USED_LOCK(?) AND USER <> SUBSTRING_INDEX(CURRENT_USER(), '@', 1)`,
      [name]
    )
    return rows.map(({ id }) => Number(id))
  },
  what: 'that hold a lock of the control plane'
})

/** Locks are the whole server's, so that the name carries what is locked. */
const lockName = (lock: string): string =>
  `saasctl/lock/${createHash('sha256').update(lock).digest('hex').slice(0, 48)}`
