import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type pg from 'pg'
import { type Place, translate } from './errors.js'
import { gathered } from './gathered.js'
import { stream } from './stream.js'

/** How long a question may be without an answer before somebody looks whether the server still works on it. */
const SILENCE_MS = 10_000

/** One connection. Every driver error leaves it translated; a connection in doubt is destroyed, never given back. */
export class Session {
  readonly place: Place
  readonly #client: pg.Client
  readonly #isAlive: () => Promise<boolean>
  #version = ''
  #lost = false
  #completed = 0
  #turn: Promise<unknown> = Promise.resolve()

  /** `isAlive` says whether the server still has the session; without that a dead road would be waited on for ever. */
  constructor(client: pg.Client, place: Place, isAlive: () => Promise<boolean>) {
    this.#client = client
    this.#isAlive = isAlive
    this.place = place
    // Without a listener, a connection that breaks while idle ends the whole process.
    client.on('error', () => {
      this.#lost = true
    })
    client.connection.on('commandComplete', () => {
      this.#completed += 1
    })
    client.connection.on('parameterStatus', (status: { parameterName: string; parameterValue: string }) => {
      if (status.parameterName === 'server_version') this.#version = status.parameterValue
    })
  }

  /** As the server said when the session began: `15.18`. */
  get version(): string {
    return this.#version.split(' ')[0] ?? ''
  }

  get major(): number {
    return Number.parseInt(this.#version, 10)
  }

  /** Whether the connection is gone, or stands inside a transaction that nobody ended. */
  get inDoubt(): boolean {
    return this.#lost || this.#client.getTransactionStatus() !== 'I'
  }

  /** One statement with parameters. */
  async rows<Row extends object>(sql: string, values: unknown[] = []): Promise<Row[]> {
    try {
      return (await this.#inTurn(() => this.#client.query<Row>(sql, values))).rows
    } catch (error) {
      throw this.#translated(error)
    }
  }

  /**
   * One statement, its rows in batches: the server waits while one is being taken. What comes after `maxRows` is not read,
   * and then the session is of no more use.
   */
  async stream<Row extends object>(
    sql: string,
    maxRows: number,
    take: (rows: Row[]) => Promise<void>
  ): Promise<{ rows: number; cut: boolean }> {
    try {
      return await this.#watched(stream(this.#client, sql, maxRows, take))
    } catch (error) {
      throw this.#translated(error)
    }
  }

  /** One message of several questions, without parameters: the rows of each, as what stands in their columns. */
  async values(sql: string): Promise<unknown[][][]> {
    try {
      // The driver gives several results for several statements, and does not say so in its types.
      const answers: unknown = await this.#inTurn(() => this.#client.query({ text: sql, rowMode: 'array' }))
      return (answers as Array<pg.QueryArrayResult<unknown[]>>).map(({ rows }) => rows)
    } catch (error) {
      throw this.#translated(error)
    }
  }

  /** One message of one or several statements, without parameters: several are one transaction unless they say otherwise. */
  async run(sql: string): Promise<void> {
    try {
      await this.#inTurn(() => {
        this.#completed = 0
        return this.#client.query(sql)
      })
    } catch (error) {
      throw this.#translated(error)
    }
  }

  /** One COPY … FROM STDIN with the rows that the stream gives; how many they were. Its error is the news when it fails. */
  async copyIn(sql: string, rows: Readable): Promise<number> {
    const { from } = await import('pg-copy-streams')
    try {
      const copy = this.#client.query(from(sql))
      await this.#watched(pipeline(rows, copy))
      return copy.rowCount
    } catch (error) {
      throw this.#translated(error)
    }
  }

  /** What one COPY … TO STDOUT gives. The session is free again when all of it was read. */
  async *copyOut(sql: string): AsyncGenerator<Buffer> {
    const { to } = await import('pg-copy-streams')
    const rows = this.#client.query(to(sql))
    const watch = this.#watch()
    try {
      for await (const chunk of rows) yield chunk as Buffer
    } catch (error) {
      throw this.#translated(error)
    } finally {
      clearInterval(watch)
    }
  }

  /** The same in pieces of whole rows; `rows` is told how many they were. */
  async *copyPieces(sql: string, rows: (count: number) => void): AsyncGenerator<Buffer> {
    const { to } = await import('pg-copy-streams')
    const copy = this.#client.query(to(sql))
    try {
      yield* gathered(copy)
      rows(copy.rowCount)
    } catch (error) {
      throw this.#translated(error)
    } finally {
      copy.destroy()
    }
  }

  /**
   * Leaves the transaction that an error left open, if there is one. It is always sent: the driver reports an error before
   * it hears from the server whether a transaction is open.
   */
  async rollback(): Promise<void> {
    if (!this.#lost) await this.run('ROLLBACK')
  }

  /** Ends the session, without waiting for a server that does not answer. */
  async end(): Promise<void> {
    if (this.inDoubt) return this.destroy()
    const stuck = setTimeout(() => this.destroy(), 2_000)
    await this.#client.end().catch(() => this.destroy())
    clearTimeout(stuck)
  }

  /** Says goodbye and does not wait for the answer: a backend needs 3 ms to go, and nobody needs it gone. */
  leave(): void {
    void this.end()
  }

  destroy(): void {
    this.#lost = true
    this.#client.connection.stream.destroy()
  }

  /** The targets of a lane share its control session, and the driver will soon take one question at a time only. */
  #inTurn<Answer>(ask: () => Promise<Answer>): Promise<Answer> {
    const answer = this.#turn.then(() => this.#watched(ask()))
    this.#turn = answer.catch(() => {})
    return answer
  }

  /** A statement may take as long as it likes while the server is at it; a session that is gone ends with an error. */
  async #watched<Answer>(answer: Promise<Answer>): Promise<Answer> {
    const watch = this.#watch()
    try {
      return await answer
    } finally {
      clearInterval(watch)
    }
  }

  #watch(): NodeJS.Timeout {
    return setInterval(async () => {
      if (!(await this.#isAlive())) this.destroy()
    }, SILENCE_MS)
  }

  #translated(error: unknown) {
    const translated = translate(error, this.place, this.#completed)
    if (translated.code === 'SERVER_UNREACHABLE') this.#lost = true
    return translated
  }
}
