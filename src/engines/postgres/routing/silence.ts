import type { PostgresConnection } from './connection.js'

/** How long after the server's own limit an answer may still be on its way. */
const GRACE_MS = 5_000
const LOOK_MS = 1_000

interface Watched {
  limitMs: number
  statement: unknown
  since: number
}

/**
 * Ends connections whose server has gone silent. `statement_timeout` is the server's to keep: one that has gone, or the network
 * before it, would let a request wait for the kernel's quarter of an hour. Looked at once a second, so that a statement costs
 * nothing for it.
 */
export class Silence {
  readonly #watched = new Map<PostgresConnection, Watched>()
  #timer: NodeJS.Timeout | undefined

  /** Watches the connection until it ends. */
  watch(connection: PostgresConnection, statementTimeoutMs: number): void {
    this.#watched.set(connection, { limitMs: statementTimeoutMs + GRACE_MS, statement: undefined, since: 0 })
    this.#timer ??= setInterval(() => this.#look(), LOOK_MS).unref()
  }

  #look(): void {
    const now = performance.now()
    for (const [connection, watched] of this.#watched) {
      const { statement } = connection
      if (connection.lost) this.#watched.delete(connection)
      else if (statement !== watched.statement) Object.assign(watched, { statement, since: now })
      else if (statement && now - watched.since > watched.limitMs) connection.giveUp()
    }
    if (this.#watched.size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}
