import type { Command, Packet, Wire } from './wire.js'

const IN_TRANSACTION = 1
const AUTOCOMMIT = 2

const OK = 0
const END_OF_ROWS = 254
const ERROR = 255

/**
 * Where a connection stands between statements, as the server says at the end of each answer. The driver reads past it. An
 * error says nothing of it: a procedure may fail and leave a transaction open that it has begun itself.
 */
export class Status {
  #flags = AUTOCOMMIT
  #known = true
  #at = 0

  constructor(wire: Wire) {
    const handle = wire.handlePacket
    wire.handlePacket = packet => {
      const { _command: command } = wire
      handle.call(wire, packet)
      if (packet && command && wire._command !== command) this.#note(packet, command)
    }
  }

  /** False after an error, until the server was asked. */
  get known(): boolean {
    return this.#known
  }

  get inTransaction(): boolean {
    return (this.#flags & IN_TRANSACTION) !== 0
  }

  /** When the last answer came, on the clock of `performance`. */
  get at(): number {
    return this.#at
  }

  /** As a new connection would be: nothing begun, and nothing that begins by itself. */
  get clean(): boolean {
    return this.#known && (this.#flags & (IN_TRANSACTION | AUTOCOMMIT)) === AUTOCOMMIT
  }

  #note({ buffer, start, end }: Packet, command: Command): void {
    const at = start + 4
    const kind = buffer[at]
    this.#at = performance.now()
    this.#known = kind !== ERROR
    // The answer to "prepare" begins like an OK and is none.
    if (kind === END_OF_ROWS) this.#read(buffer, at + 3, end)
    else if (kind === OK && !('parameterDefinitions' in command)) {
      this.#read(buffer, afterNumber(buffer, afterNumber(buffer, at + 1)), end)
    }
  }

  /** An answer that is too short for it comes from no server of ours, and is not to end the process. */
  #read(buffer: Buffer, at: number, end: number): void {
    if (at + 2 <= end) this.#flags = buffer.readUInt16LE(at)
    else this.#known = false
  }
}

/** Where the next field begins after a number of one to nine bytes. */
function afterNumber(buffer: Buffer, at: number): number {
  const first = buffer[at] ?? 0
  return at + (first < 0xfb ? 1 : first === 0xfc ? 3 : first === 0xfd ? 4 : 9)
}
