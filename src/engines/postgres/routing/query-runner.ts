import type pg from 'pg'
import { QueryFailedError, QueryRunnerAlreadyReleasedError } from 'typeorm'
import { PostgresQueryRunner } from 'typeorm/driver/postgres/PostgresQueryRunner.js'
import type { ReplicationMode } from 'typeorm/driver/types/ReplicationMode.js'
import { SaasctlError } from '../../../errors.js'
import type { ConnectionSource } from '../../routing.js'
import { type Place, translate } from '../errors.js'
import type { PostgresConnection } from './connection.js'
import type { TenantDriver } from './driver.js'
import { failedAt } from './explain.js'
import { isStale } from './prepared.js'

type Query = PostgresQueryRunner['query']

/**
 * TypeORM's query runner on a borrowed connection. Where the stock one turns a lost connection into "already released", this
 * one says that the server is away; and a connection that arrives after its runner was released goes back.
 */
export class TenantQueryRunner extends PostgresQueryRunner {
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
    const { ran } = this.#source
    const from = ran ? performance.now() : 0
    try {
      const answer = await super.query(text, parameters, structured)
      ran?.(performance.now() - from, false)
      return answer
    } catch (error) {
      ran?.(performance.now() - from, true)
      throw this.#source.ended ?? this.#explained(error)
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

  #explained(error: unknown): unknown {
    const borrowed = this.#borrowed
    if (!borrowed || !(error instanceof QueryFailedError)) return error
    const { driverError } = error
    failedAt.set(error, borrowed.place)
    if (isStale(driverError)) return outdated(borrowed.place)
    if (borrowed.lost) return translate(borrowed.lostTo ?? driverError, borrowed.place)
    return endings.test(String((driverError as { code?: unknown }).code))
      ? translate(driverError, borrowed.place)
      : error
  }
}

const outdated = ({ database }: Place) =>
  new SaasctlError('SERVER_BUSY', `The schema of database "${database}" changed in the middle of a transaction.`, {
    hint: 'It was rolled back; the same again takes the new schema.',
    retryable: true
  })

/** The server's last words on a connection; the driver hears the end itself only after it has passed them on. */
const endings = /^(08|57P|25P03)/
