import type pg from 'pg'
import type { ServerAddress } from '../../engine.js'
import type { RoutedConnection } from '../../routing.js'
import type { Place } from '../errors.js'
import { cancel } from './cancel.js'
import { isReady, isSettling, sessionOf, statementOf } from './wire.js'

const PATIENCE_MS = 2_000
const SETTLING_MS = 1_000

/** One connection to one tenant's database, for its whole life. */
export class PostgresConnection implements RoutedConnection {
  readonly driver: pg.Client
  readonly place: Place
  readonly #address: ServerAddress
  #lost = false
  #lostTo: Error | undefined
  #ended = false
  #stale = false
  #closing: Promise<void> | undefined
  #listener: (() => void) | undefined

  constructor(client: pg.Client, address: ServerAddress, place: Place) {
    this.driver = client
    this.place = place
    this.#address = address
    // Without a listener, a connection that breaks while idle ends the whole process.
    client.on('error', error => {
      this.#lost = true
      this.#lostTo ??= error
    })
    client.connection.once('end', () => {
      this.#lost = true
      this.#ended = true
      this.#listener?.()
    })
  }

  /** The server or the network ended it, or is about to. */
  get lost(): boolean {
    return this.#lost
  }

  /** What ended it, in the words of the server or the network. */
  get lostTo(): Error | undefined {
    return this.#lostTo
  }

  get inDoubt(): boolean {
    return this.#lost || this.#stale || !isReady(this.driver) || this.driver.getTransactionStatus() !== 'I'
  }

  /** The driver reports an error before it hears whether a transaction is open: under load, it comes in a piece of its own. */
  get settling(): Promise<void> | undefined {
    if (this.#lost || !isSettling(this.driver)) return undefined
    const { connection } = this.driver
    return new Promise(resolve => {
      const settle = () => {
        clearTimeout(late)
        connection.off('readyForQuery', settle)
        connection.off('end', settle)
        resolve()
      }
      const late = setTimeout(settle, SETTLING_MS)
      connection.on('readyForQuery', settle)
      connection.on('end', settle)
    })
  }

  get inTransaction(): boolean {
    const status = this.driver.getTransactionStatus()
    return status === 'T' || status === 'E'
  }

  /** What runs on it, to be compared; nothing when nothing does. */
  get statement(): unknown {
    return statementOf(this.driver)
  }

  /** Nobody is at the other end any more: whoever waits for an answer is told so. */
  giveUp(): void {
    this.driver.connection.stream.destroy(Object.assign(new Error('read timeout'), { code: 'ETIMEDOUT' }))
  }

  /** A prepared statement on it is no longer good: it is not lent again. */
  outdated(): void {
    this.#stale = true
  }

  onEnd(listener: () => void): void {
    if (this.#ended) listener()
    else this.#listener = listener
  }

  /**
   * Stops a statement that still runs by a cancel request, because a server goes on with it when its client has merely gone:
   * for as long as it takes, and counted among its connections.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    if (this.#ended) return
    const { connection } = this.driver
    const stuck = setTimeout(() => connection.stream.destroy(), PATIENCE_MS)
    const ended = new Promise<void>(resolve => connection.once('end', () => resolve()))
    const session = sessionOf(this.driver)
    if (this.#lost || !session) {
      connection.stream.destroy()
    } else if (isReady(this.driver)) {
      void this.driver.end()
    } else {
      cancel(this.#address, session)
      connection.end()
    }
    await ended
    clearTimeout(stuck)
  }
}
