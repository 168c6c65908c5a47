import type { RoutedWay } from '../../routing.js'
import { dial } from './dial.js'

/**
 * Ends a session of the same login, from a connection of its own. Best effort: a server that does not answer, or lets the login
 * in no more often, is left to the caller's own time limit. Never rejects.
 */
export function kill(way: RoutedWay, session: number, patienceMs: number): Promise<void> {
  const client = dial(way)
  return new Promise<void>(resolve => {
    const late = setTimeout(resolve, patienceMs)
    const done = () => {
      clearTimeout(late)
      client.destroy()
      resolve()
    }
    client.on('error', done)
    client.query(`KILL ${session}`, done)
  })
}
