import { setTimeout as sleep } from 'node:timers/promises'
import type { RoutedWay } from '../../routing.js'
import { dial } from './dial.js'

/** No room for one more connection: of the account, or of the server. */
const FULL = [1203, 1226, 1040]
const PAUSE_MS = 20

/** An account has one connection more than its plan gives, for this: who stops statements of one account takes turns. */
const turns = new Map<string, Promise<void>>()

/**
 * Ends a session of the same login, from a connection of its own. Best effort: a server that does not answer, or lets the login
 * in no more often, is left to the caller's own time limit. Never rejects.
 */
export async function kill(way: RoutedWay, session: number, patienceMs: number): Promise<void> {
  const until = performance.now() + patienceMs
  const account = `${way.address.host}:${way.address.port}/${way.as.login}`
  const turn = (turns.get(account) ?? Promise.resolve()).then(() => tryUntil(until, way, session))
  turns.set(account, turn)
  await turn
  if (turns.get(account) === turn) turns.delete(account)
}

async function tryUntil(until: number, way: RoutedWay, session: number): Promise<void> {
  for (;;) {
    const left = until - performance.now()
    if (left <= 0 || (await killOnce(way, session, left))) return
    await sleep(PAUSE_MS)
  }
}

/** False when there was no room for it. */
function killOnce(way: RoutedWay, session: number, patienceMs: number): Promise<boolean> {
  const client = dial(way)
  return new Promise<boolean>(resolve => {
    const done = (error?: unknown) => {
      clearTimeout(late)
      client.destroy()
      resolve(!FULL.includes(Number((error as { errno?: number } | null | undefined)?.errno)))
    }
    const late = setTimeout(done, patienceMs)
    client.on('error', done)
    client.query(`KILL ${session}`, done)
  })
}
