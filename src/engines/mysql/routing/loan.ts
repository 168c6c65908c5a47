import type { Connection } from 'mysql2'

type Send = (sql: unknown, values: unknown, done: (error: unknown, rows: unknown, fields: unknown) => void) => void
type Run = (sql: unknown, values?: unknown) => Promise<[rows: unknown, fields: unknown]>

/**
 * What TypeORM and an application hold of a borrowed connection, in the form of the driver's. It is worth nothing once the
 * connection was given back: that may be the next tenant's by then, and whoever kept it must not get there.
 */
export class Loan {
  #client: Connection | undefined
  readonly #over: () => Error
  readonly #giveBack: () => void
  readonly #promised: { query: Run; execute: Run; release(): void }

  constructor(client: Connection, over: () => Error, giveBack: () => void) {
    this.#client = client
    this.#over = over
    this.#giveBack = giveBack
    // The driver's own makes an emitter with five listeners for each statement that TypeORM sends.
    this.#promised = {
      query: (sql, values) => this.#run('query', sql, values),
      execute: (sql, values) => this.#run('execute', sql, values),
      release: () => this.release()
    }
  }

  get query(): Connection['query'] {
    const client = this.#lent()
    return client.query.bind(client)
  }

  get execute(): Connection['execute'] {
    const client = this.#lent()
    return client.execute.bind(client)
  }

  promise(): { query: Run; execute: Run; release(): void } {
    return this.#promised
  }

  /** A second time is fine. */
  release(): void {
    if (!this.#client) return
    this.#client = undefined
    this.#giveBack()
  }

  #lent(): Connection {
    if (!this.#client) throw this.#over()
    return this.#client
  }

  #run(how: 'query' | 'execute', sql: unknown, values: unknown): Promise<[rows: unknown, fields: unknown]> {
    return new Promise((resolve, reject) => {
      const client = this.#lent() as unknown as Record<typeof how, Send>
      client[how](sql, values, (error, rows, fields) => {
        if (error) reject(error)
        else resolve([rows, fields])
      })
    })
  }
}
