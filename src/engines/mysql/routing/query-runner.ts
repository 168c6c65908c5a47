import { QueryFailedError, QueryRunnerAlreadyReleasedError } from 'typeorm'
import { MysqlQueryRunner } from 'typeorm/driver/mysql/MysqlQueryRunner.js'
import type { ReplicationMode } from 'typeorm/driver/types/ReplicationMode.js'
import type { ConnectionSource } from '../../routing.js'
import type { MysqlConnection } from './connection.js'
import type { TenantDriver } from './driver.js'
import { explained } from './failed.js'
import { Loan } from './loan.js'

/** How a query builder's statement with `pessimistic_read` ends. */
const SHARE = / FOR SHARE( NOWAIT| SKIP LOCKED)?$/

/**
 * TypeORM's query runner on a borrowed connection. It says that the server is away where that is what happened, and a
 * connection that arrives after its runner was released goes back.
 */
export class TenantQueryRunner extends MysqlQueryRunner {
  readonly #driver: TenantDriver
  readonly #source: ConnectionSource
  #borrowed: MysqlConnection | undefined
  #loan: Loan | undefined

  constructor(driver: TenantDriver, mode: ReplicationMode, source: ConnectionSource) {
    super(driver, mode)
    this.#driver = driver
    this.#source = source
  }

  override connect(): Promise<Loan> {
    this.databaseConnectionPromise ??= this.#borrow()
    return this.databaseConnectionPromise
  }

  override release(): Promise<void> {
    if (this.isReleased) return Promise.resolve()
    this.isReleased = true
    this.#loan?.release()
    return Promise.resolve()
  }

  override async query<T = unknown>(text: string, parameters?: unknown[], structured = false): Promise<T> {
    const { ran } = this.#source
    const from = ran ? performance.now() : 0
    try {
      const sql = structured && SHARE.test(text) ? await this.#sharing(text) : text
      const answer = await super.query(sql, parameters, structured)
      ran?.(performance.now() - from, false, text)
      return answer
    } catch (error) {
      ran?.(performance.now() - from, true, text)
      throw this.#source.ended ?? this.#explained(error)
    }
  }

  /** On a connection that is being closed, the driver gives a stream without rows and without an error. */
  override async stream(...asked: Parameters<MysqlQueryRunner['stream']>): ReturnType<MysqlQueryRunner['stream']> {
    if (this.#source.ended) throw this.#source.ended
    return await super.stream(...asked)
  }

  /** TypeORM takes every server of this type for a MySQL 8 from its version, and MariaDB has no FOR SHARE. */
  async #sharing(text: string): Promise<string> {
    await this.connect()
    return this.#borrowed?.isMariadb ? text.replace(SHARE, ' LOCK IN SHARE MODE$1') : text
  }

  async #borrow(): Promise<Loan> {
    // The source is the router's, and its connections are those that this engine opened.
    const borrowed = (await this.#source.acquire()) as MysqlConnection
    if (this.isReleased) {
      this.#source.release(borrowed, false)
      throw new QueryRunnerAlreadyReleasedError()
    }
    this.#borrowed = borrowed
    this.#driver.runners.push(this)
    this.#loan = new Loan(
      borrowed.driver,
      () => this.#source.ended ?? new QueryRunnerAlreadyReleasedError(),
      () => this.#giveBack(borrowed)
    )
    this.databaseConnection = this.#loan
    return this.#loan
  }

  #giveBack(borrowed: MysqlConnection): void {
    const { runners } = this.#driver
    const index = runners.indexOf(this)
    if (index >= 0) runners.splice(index, 1)
    this.#source.release(borrowed, false)
  }

  #explained(error: unknown): unknown {
    return this.#borrowed && error instanceof QueryFailedError ? explained(this.#borrowed, error) : error
  }
}
