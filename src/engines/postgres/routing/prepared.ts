import type pg from 'pg'
import QuickLRU from 'quick-lru'
import { PreparedStatement, type Shapes } from './prepared-statement.js'

/** A statement is worth its place on the server once it came this often; what is made for one use never gets one. */
const WORTH = 5
/** Longer ones are mostly lists of values, each list another text. */
const LONGEST = 8_192
const MOST_NAMES = 500
const PREFIX = 'saasctl_'

/**
 * Names for the statements that come again and again. All tenants share entities, so they share statements and names too;
 * each connection prepares them for itself. Worth 1.2 to 1.5 times the statements a second where the server has many
 * databases: it parses and plans each text once a connection.
 */
export class StatementNames {
  readonly #seen = new QuickLRU<string, number>({ maxSize: 2 * MOST_NAMES })
  readonly #names = new Map<string, string>()

  /** The name of a text, once it came often enough. */
  of(text: string): string | undefined {
    const name = this.#names.get(text)
    if (name !== undefined || text.length > LONGEST || this.#names.size >= MOST_NAMES) return name
    const seen = (this.#seen.get(text) ?? 0) + 1
    this.#seen.set(text, seen)
    if (seen >= WORTH) this.#names.set(text, `${PREFIX}${this.#names.size + 1}`)
    return undefined
  }
}

type Run = (text: unknown, values?: unknown, callback?: unknown) => unknown

/**
 * From here on the client prepares what has a name, `most` statements at most. `stale` is told when the server no longer
 * takes a prepared statement, because a migration changed what it returns or the application discarded it: nothing was run,
 * and outside a transaction it is run again as it is.
 */
export function preparing(client: pg.Client, names: StatementNames, most: number, stale: () => void): void {
  const run = client.query.bind(client) as Run
  const prepared = new Set<string>()
  const shapes: Shapes = new Map()
  const runPrepared = async (name: string, text: string, values: unknown[]) => {
    try {
      return await new Promise((resolve, reject) => {
        const settle = (error: unknown, result: unknown) => (error ? reject(error) : resolve(result))
        run(new PreparedStatement(client, { name, text, values }, shapes, settle))
      })
    } catch (error) {
      if (!(error instanceof Error)) throw error
      if (!isStale(error)) throw fromHere(error)
      stale()
      if (client.getTransactionStatus() !== 'I') throw error
      return run(text, values)
    }
  }
  const query: Run = (text, values, callback) => {
    const plain = typeof text !== 'string' || !Array.isArray(values) || values.length === 0 || callback !== undefined
    const name = plain ? undefined : names.of(text)
    if (name === undefined || (prepared.size >= most && !prepared.has(name))) return run(text, values, callback)
    prepared.add(name)
    return runPrepared(name, text as string, values as unknown[])
  }
  client.query = query as typeof client.query
}

/** With the stack of whoever asked, as the driver does it, instead of the socket's. */
function fromHere(error: Error): Error {
  Error.captureStackTrace(error)
  return error
}

/** By function and name: the same codes stand for other things too, and words are in the server's language. */
export const isStale = (error: { code?: string; routine?: string; message?: string }): boolean =>
  (error.code === '0A000' && error.routine === 'RevalidateCachedQuery') ||
  (error.code === '26000' && error.message?.includes(PREFIX) === true)
