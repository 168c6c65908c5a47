import type pg from 'pg'
import { QueryFailedError, QueryRunnerAlreadyReleasedError } from 'typeorm'
import { PostgresQueryRunner } from 'typeorm/driver/postgres/PostgresQueryRunner.js'
import type { ReplicationMode } from 'typeorm/driver/types/ReplicationMode.js'
import type { ConnectionSource } from '../../routing.js'
import type { PostgresConnection } from './connection.js'
import type { TenantDriver } from './driver.js'
import { explained } from './failed.js'
import { runRaw } from './run-raw.js'

type Query = PostgresQueryRunner['query']

/**
 * TypeORM's query runner on a borrowed connection. Where the stock one turns a lost connection into "already released", this
 * one says that the server is away; and a connection that arrives after its runner was released goes back.
 */
export class TenantQueryRunner extends PostgresQueryRunner {
  declare driver: TenantDriver
  readonly #source: ConnectionSource
  #borrowed: PostgresConnection | undefined

  constructor(driver: TenantDriver, mode: ReplicationMode, source: ConnectionSource) {
    super(driver, mode)
    this.#source = source
  }

  override connect(): Promise<pg.Client> {
    this.databaseConnectionPromise ??= this.#borrow()
    return this.databaseConnectionPromise
  }

  override release(): Promise<void> {
    if (this.isReleased) return Promise.resolve()
    this.isReleased = true
    const { connectedQueryRunners } = this.driver
    const index = connectedQueryRunners.indexOf(this)
    if (index >= 0) connectedQueryRunners.splice(index, 1)
    if (this.#borrowed) this.#source.release(this.#borrowed, false)
    return Promise.resolve()
  }

  override async query(
    text: string,
    parameters?: Parameters<Query>[1],
    structured = false
  ): Promise<Awaited<ReturnType<Query>>> {
    const source = this.#source
    if (this.driver.quiet && !this.isReleased && (parameters === undefined || Array.isArray(parameters))) {
      const borrowed = this.#borrowed ?? (await this.#connected())
      return (await runRaw(source, borrowed, text, parameters, structured)) as Awaited<ReturnType<Query>>
    }
    const { ran } = source
    const from = ran ? performance.now() : 0
    try {
      const answer = await super.query(text, parameters, structured)
      ran?.(performance.now() - from, false, text)
      return answer
    } catch (error) {
      ran?.(performance.now() - from, true, text)
      throw source.ended ?? this.#explained(error)
    }
  }

  async #borrow(): Promise<pg.Client> {
    // The source is the router's, and its connections are those that this engine opened.
    const borrowed = (await this.#source.acquire()) as PostgresConnection
    if (this.isReleased) {
      this.#source.release(borrowed, false)
      throw new QueryRunnerAlreadyReleasedError()
    }
    this.#borrowed = borrowed
    this.databaseConnection = borrowed.driver
    this.driver.connectedQueryRunners.push(this)
    return borrowed.driver
  }

  async #connected(): Promise<PostgresConnection> {
    await this.connect()
    if (!this.#borrowed) throw new QueryRunnerAlreadyReleasedError()
    return this.#borrowed
  }

  #explained(error: unknown): unknown {
    const borrowed = this.#borrowed
    return borrowed && error instanceof QueryFailedError ? explained(borrowed, error) : error
  }
}
