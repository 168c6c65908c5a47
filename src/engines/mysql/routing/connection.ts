import { isDeepStrictEqual } from 'node:util'
import type { Connection } from 'mysql2'
import type { ServerAddress } from '../../engine.js'
import type { RoutedConnection, RoutedWay } from '../../routing.js'
import type { Place } from '../errors.js'
import { kill } from './kill.js'
import { Status } from './status.js'
import { isReady, type Wire, wireOf } from './wire.js'

const PATIENCE_MS = 2_000
const SETTLING_MS = 1_000

/** One connection to one server, for its whole life: at one tenant's database after the other, if it is pointed there. */
export class MysqlConnection implements RoutedConnection {
  readonly driver: Connection
  readonly wire: Wire
  /** Seen to want a new login's password proved again with the number of its greeting: what `ChangeUser` needs to know. */
  asksAgain = false
  readonly #status: Status
  #way: RoutedWay
  #loggedIn = false
  #lost = false
  #lostTo: Error | undefined
  #ended = false
  #closing: Promise<void> | undefined
  #listener: (() => void) | undefined

  constructor(client: Connection, way: RoutedWay) {
    this.driver = client
    this.wire = wireOf(client)
    this.#way = way
    this.#status = new Status(this.wire)
    const end = () => this.#end()
    // Without a listener, a connection that breaks while idle ends the whole process.
    client.on('error', error => {
      this.#lost = true
      this.#lostTo ??= error
    })
    const plain = this.wire.stream.once('close', end)
    client.once('connect', () => {
      this.entered()
      if (this.wire.stream !== plain) this.wire.stream.once('close', end)
    })
  }

  get place(): Place {
    const { address, database, as } = this.#way
    return { host: address.host, port: address.port, database, login: as.login }
  }

  /** The server or the network ended it, or is about to. */
  get lost(): boolean {
    // The driver tells of a broken connection whoever runs a statement on it, and the others only when it is closed.
    return this.#lost || Boolean(this.wire._fatalError)
  }

  /** What ended it, in the words of the server or the network. */
  get lostTo(): Error | undefined {
    return this.#lostTo ?? this.wire._fatalError ?? undefined
  }

  get isMariadb(): boolean {
    return this.wire._isMariaDB
  }

  get inDoubt(): boolean {
    return this.lost || this.#closing !== undefined || !isReady(this.wire) || !this.#status.clean
  }

  /** An error does not say where it left the connection; a ping does. */
  get settling(): Promise<void> | undefined {
    if (this.lost || this.#status.known || !isReady(this.wire)) return undefined
    return new Promise(resolve => {
      const late = setTimeout(resolve, SETTLING_MS)
      this.driver.ping(() => {
        clearTimeout(late)
        resolve()
      })
    })
  }

  get inTransaction(): boolean {
    return this.#status.inTransaction
  }

  get idleInTransactionSince(): number | undefined {
    return this.inTransaction && isReady(this.wire) ? this.#status.at : undefined
  }

  /** Whether it is a connection to this server, and as safe: a server may have moved since it was opened. */
  leadsTo(address: ServerAddress): boolean {
    return isDeepStrictEqual(this.#way.address, address)
  }

  /** What runs on it, to be told from the next; nothing when nothing does. */
  get statement(): unknown {
    return this.wire._command
  }

  /** Nobody is at the other end any more: whoever waits for an answer is told so. */
  giveUp(): void {
    this.wire.stream.destroy(Object.assign(new Error('read timeout'), { code: 'ETIMEDOUT' }))
  }

  /** From here on it is on its way to another tenant, and whoever was to be told of its end is not told any more. */
  turnTo(way: RoutedWay): void {
    this.#way = way
    this.#loggedIn = false
    this.#listener = undefined
  }

  /** The server has let the login in. */
  entered(): void {
    this.#loggedIn = true
  }

  onEnd(listener: () => void): void {
    if (this.#ended) listener()
    else this.#listener = listener
  }

  /**
   * Stops a statement that still runs by a KILL from another connection, because a server goes on with it when its client has
   * merely gone: for as long as it takes, and counted among its connections.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    if (this.#ended) return
    const { stream } = this.wire
    const ended = new Promise<void>(resolve => stream.once('close', () => resolve()))
    const stuck = setTimeout(() => stream.destroy(), PATIENCE_MS)
    if (this.lost || !this.#loggedIn) {
      stream.destroy()
    } else if (isReady(this.wire)) {
      this.driver.end()
      stream.resume()
    } else {
      await kill(this.#way, this.driver.threadId, PATIENCE_MS)
      // The driver stops reading for an application that reads its rows slowly, and would not see the end.
      stream.resume()
    }
    await ended
    clearTimeout(stuck)
  }

  #end(): void {
    if (this.#ended) return
    this.#lost = true
    this.#ended = true
    this.#listener?.()
  }
}
