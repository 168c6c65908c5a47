/** How long after the server's own limit an answer may still be on its way. */
const GRACE_MS = 5_000
const LOOK_MS = 1_000

/** A connection whose answers can be missed. */
export interface Heard {
  readonly lost: boolean
  /** Since when, on the clock of `performance`, it has stood in a transaction without a statement; undefined when it does not. */
  readonly idleInTransactionSince?: number | undefined
  /** What runs on it, to be told from the next; nothing when nothing does. */
  readonly statement: unknown
  /** Nobody is at the other end any more: whoever waits for an answer is told so. */
  giveUp(): void
}

/** Milliseconds; null is none. */
export interface Limits {
  statementTimeoutMs: number | null
  /** For servers that do not keep it themselves. */
  idleInTransactionMs?: number | null
}

interface Watched {
  limitMs: number
  idleMs: number
  statement: unknown
  since: number
}

/**
 * Ends connections whose server has gone silent, or whose application has, with a transaction open. A statement's time limit
 * is the server's to keep: one that has gone, or the network before it, would let a request wait for the kernel's quarter of
 * an hour. Looked at once a second, so that a statement costs nothing for it.
 */
export class Silence {
  readonly #watched = new Map<Heard, Watched>()
  #timer: NodeJS.Timeout | undefined

  /** Watches the connection until it ends, or is watched for other limits. */
  watch(connection: Heard, { statementTimeoutMs, idleInTransactionMs = null }: Limits): void {
    this.#watched.delete(connection)
    if (statementTimeoutMs === null && idleInTransactionMs === null) return
    const limitMs = statementTimeoutMs === null ? Number.POSITIVE_INFINITY : statementTimeoutMs + GRACE_MS
    const idleMs = idleInTransactionMs ?? Number.POSITIVE_INFINITY
    this.#watched.set(connection, { limitMs, idleMs, statement: undefined, since: 0 })
    this.#timer ??= setInterval(() => this.#look(), LOOK_MS).unref()
  }

  #look(): void {
    const now = performance.now()
    for (const [connection, watched] of this.#watched) {
      const { statement } = connection
      if (connection.lost) this.#watched.delete(connection)
      else if (statement !== watched.statement) Object.assign(watched, { statement, since: now })
      else if (statement && now - watched.since > watched.limitMs) connection.giveUp()
      else if (now - (connection.idleInTransactionSince ?? now) > watched.idleMs) connection.giveUp()
    }
    if (this.#watched.size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}
