import type { Connection, QueryOptions, ResultSetHeader, RowDataPacket } from 'mysql2'
import { SaasctlError } from '../../errors.js'
import { type Place, translate } from './errors.js'
import type { Flavour } from './flavour.js'
import { readAll } from './read-all.js'

/** How long a question may be without an answer before somebody looks whether the server still works on it. */
const SILENCE_MS = 10_000

const BATCH = 200

/** Bit of the server's status in every answer that is no table of rows: a transaction is open. */
const IN_TRANSACTION = 1

/** What is known of a session before its first statement. */
export interface Hello {
  /** The server's version as it greets. */
  greeting: string
  encrypted: boolean
}

/** One connection. Every driver error leaves it translated; a connection in doubt is destroyed, never given back. */
export class Session {
  readonly place: Place
  /** The server's number of the session, as KILL takes it. */
  readonly id: number
  readonly flavour: Flavour
  /** Without the distribution's ending: `10.11.19`. */
  readonly version: string
  /** Whether the server was reached over TLS: then its tenants must come so too. */
  readonly encrypted: boolean
  readonly #connection: Connection
  readonly #isAlive: () => Promise<boolean>
  readonly #whenLost = new Set<() => void>()
  #lost = false
  #inTransaction = false

  /** `isAlive` says whether the server still has the session; without that a dead road would be waited on for ever. */
  constructor(connection: Connection, hello: Hello, place: Place, isAlive: () => Promise<boolean>) {
    this.#connection = connection
    this.#isAlive = isAlive
    this.place = place
    this.id = connection.threadId
    this.encrypted = hello.encrypted
    const { greeting } = hello
    this.flavour = /mariadb/i.test(greeting) ? 'mariadb' : 'mysql'
    // MariaDB up to 10 puts 5.5.5- in front, for replicas that know no two-digit version.
    this.version = /\d+(?:\.\d+)+/.exec(greeting.replace(/^5\.5\.5-/, ''))?.[0] ?? ''
    // Without a listener, a connection that breaks while idle ends the whole process.
    connection.on('error', () => this.#lose())
    connection.on('end', () => this.#lose())
  }

  get major(): number {
    return Number.parseInt(this.version, 10)
  }

  /** Whether the connection is gone, or stands inside a transaction that nobody ended. */
  get inDoubt(): boolean {
    return this.#lost || this.#inTransaction
  }

  /** One statement that gives rows; values stand in the place of `?`. */
  async rows<Row extends object>(sql: string, values: unknown[] = []): Promise<Row[]> {
    return (await this.#query(sql, values)) as Row[]
  }

  /** One statement that gives none; how many rows it changed. */
  async run(sql: string, values: unknown[] = []): Promise<number> {
    const result = await this.#query(sql, values)
    return Array.isArray(result) ? 0 : result.affectedRows
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
    let rows = 0
    try {
      for await (const batch of this.#batches<Row>({ sql })) {
        const room = maxRows - rows
        rows += Math.min(batch.length, room)
        if (batch.length <= room) await take(batch)
        else {
          this.destroy()
          await take(batch.slice(0, room))
          return { rows, cut: true }
        }
      }
    } catch (error) {
      throw error instanceof SaasctlError ? error : translate(error, this.place)
    }
    return { rows, cut: false }
  }

  /** Rows as they come, in batches of any length, each an array of the server's own bytes, no faster than they are taken. */
  async *raw(sql: string): AsyncGenerator<Array<Array<Buffer | null>>> {
    try {
      yield* this.#batches<Array<Buffer | null>>({ sql, rowsAsArray: true, typeCast: false })
    } catch (error) {
      throw translate(error, this.place)
    }
  }

  /** Leaves the transaction that an error left open, if there is one. */
  async rollback(): Promise<void> {
    if (!this.#lost) await this.run('ROLLBACK')
  }

  /** Ends the session, without waiting for a server that does not answer. */
  async end(): Promise<void> {
    if (this.inDoubt) return this.destroy()
    this.#lost = true
    await new Promise<void>(resolve => {
      const stuck = setTimeout(resolve, 2_000)
      this.#connection.end(() => {
        clearTimeout(stuck)
        resolve()
      })
    })
    this.#connection.destroy()
  }

  /** Says goodbye and does not wait for the answer. */
  leave(): void {
    void this.end()
  }

  destroy(): void {
    this.#connection.destroy()
    this.#lose()
  }

  #lose(): void {
    this.#lost = true
    for (const broken of this.#whenLost) broken()
  }

  /** A row at a time would be a promise or two each. Of a connection that broke, this driver tells a reader nothing. */
  async *#batches<Row>(query: QueryOptions): AsyncGenerator<Row[]> {
    const stream = this.#connection.query(query).stream({ highWaterMark: BATCH })
    const broken = () => stream.destroy(Object.assign(new Error('The connection broke'), { code: 'ECONNRESET' }))
    this.#whenLost.add(broken)
    if (this.#lost) broken()
    try {
      yield* readAll<Row>(stream)
    } finally {
      this.#whenLost.delete(broken)
    }
  }

  async #query(sql: string, values: unknown[]): Promise<RowDataPacket[] | ResultSetHeader> {
    // The driver answers a question on a connection that it knows is closed with an error of its own, some ticks later.
    try {
      const result = await this.#watched<RowDataPacket[] | ResultSetHeader>((resolve, reject) => {
        this.#connection.query<RowDataPacket[] | ResultSetHeader>(sql, values, (error, rows) =>
          error ? reject(error) : resolve(rows)
        )
      })
      if (!Array.isArray(result)) this.#inTransaction = (result.serverStatus & IN_TRANSACTION) !== 0
      return result
    } catch (error) {
      const translated = translate(error, this.place)
      if (translated.code === 'SERVER_UNREACHABLE') this.#lost = true
      throw translated
    }
  }

  /** A statement may take as long as it likes while the server is at it; a session that is gone ends with an error. */
  async #watched<Answer>(ask: (resolve: (answer: Answer) => void, reject: (error: unknown) => void) => void) {
    let watch: NodeJS.Timeout | undefined
    try {
      return await new Promise<Answer>((resolve, reject) => {
        watch = setInterval(async () => {
          if (await this.#isAlive()) return
          this.destroy()
          // A destroyed connection of this driver never answers.
          reject(Object.assign(new Error('The connection broke'), { code: 'ECONNRESET' }))
        }, SILENCE_MS)
        ask(resolve, reject)
      })
    } finally {
      clearInterval(watch)
    }
  }
}
