import { nativeToken } from '../password-hash.js'
import type { SetUp } from './identity-check.js'
import { type Command, message, type Packet, type Wire } from './wire.js'

export const NATIVE = 'mysql_native_password'

/** What a login is, for a server whose accounts prove it with the hash of a number that the server chose. */
export interface NewUser {
  user: string
  password: string
  database: string
}

/** The answer was not for what was sent before it was asked for. */
export class TooHasty extends Error {}

/**
 * Logs in anew on a connection. MariaDB wants the password proved twice, whoever it is, but with the number of its greeting
 * again: once it was seen to do so, the second proof goes with the first, and the set-up with them. One round trip and one
 * write where there were three of each, which halves what it costs.
 */
export class ChangeUser implements Command {
  readonly #as: NewUser
  readonly #setUp: SetUp
  readonly #foretold: boolean
  readonly #settle: (error?: unknown) => void
  #token: Buffer = Buffer.alloc(0)
  #asked = false

  /** `foretold`: this connection's server asks as it is expected to. */
  constructor(as: NewUser, setUp: SetUp, foretold: boolean, settle: (error?: unknown) => void) {
    this.#as = as
    this.#setUp = setUp
    this.#foretold = foretold
    this.#settle = settle
  }

  /** The server asked again, with the number that its greeting had. */
  get asked(): boolean {
    return this.#asked
  }

  execute(packet: Packet | undefined, wire: Wire): boolean {
    if (!packet) return this.#begin(wire)
    const kind = packet.buffer[packet.start + 4]
    if (packet.isError()) this.#settle(packet.asError(wire.clientEncoding))
    else if (kind === ASKS_AGAIN && !this.#asked) return this.#prove(packet, wire)
    else if (kind === OK && (this.#asked || !this.#foretold)) this.#settle()
    else this.#giveUp(wire)
    return true
  }

  onResult(error: unknown): void {
    this.#settle(error)
  }

  #begin(wire: Wire): boolean {
    const { user, password, database } = this.#as
    this.#token = nativeToken(password, numberOf(wire))
    if (wire._statements.size > 0) wire._statements.clear()
    Object.assign(wire.config, { user, database })
    const change = message(changeUser(this.#as, this.#token, wire.config.charsetNumber))
    wire.stream.write(this.#foretold ? Buffer.concat([change, this.#proof()]) : change)
    wire.sequenceId = 1
    return false
  }

  #prove(packet: Packet, wire: Wire): boolean {
    const number = packet.buffer.subarray(packet.start + 5, packet.end)
    if (!number.equals(Buffer.concat([Buffer.from(`${NATIVE}\0`), numberOf(wire), Buffer.alloc(1)]))) {
      this.#giveUp(wire)
      return true
    }
    this.#asked = true
    if (!this.#foretold) wire.stream.write(this.#proof())
    wire.sequenceId = 3
    return false
  }

  /** The proof, as the third message of the exchange, and the set-up as a new one. */
  #proof(): Buffer {
    return Buffer.concat([message(this.#token, 2), this.#setUp.take()])
  }

  /** What the server makes of the messages under way, nobody knows: it gets no other. */
  #giveUp(wire: Wire): void {
    this.#settle(new TooHasty('the server asked for another proof'))
    wire.stream.destroy()
  }
}

const OK = 0
const ASKS_AGAIN = 254
const CHANGE_USER = 0x11

function changeUser({ user, database }: NewUser, token: Buffer, charset: number): Buffer {
  return Buffer.concat([
    Buffer.from([CHANGE_USER]),
    Buffer.from(`${user}\0`),
    Buffer.from([token.length]),
    token,
    Buffer.from(`${database}\0`),
    Buffer.from([charset & 255, charset >> 8]),
    // The last byte: no attributes.
    Buffer.from(`${NATIVE}\0\0`)
  ])
}

const numberOf = ({ _handshakePacket: { authPluginData1, authPluginData2 } }: Wire): Buffer =>
  Buffer.concat([authPluginData1, authPluginData2]).subarray(0, 20)
