import { SaasctlError } from '../../../errors.js'
import type { Place } from '../errors.js'
import { identityOf } from '../identity.js'
import { type Command, type Packet, statement, type Wire } from './wire.js'

/**
 * Sends the statement that sets a session up and proves where it is, and hears its answer. Who `take`s it sends it behind the
 * last message of a login, so that it costs no round trip of its own.
 */
export class SetUp implements Command {
  readonly #message: Buffer
  readonly #settle: (error?: unknown) => void
  #taken = false
  /** The server has answered it, whatever it said. */
  answered = false

  constructor(sql: string, settle: (error?: unknown) => void) {
    this.#message = statement(sql)
    this.#settle = settle
  }

  /** What goes over the wire; whoever takes it sends it. */
  take(): Buffer {
    this.#taken = true
    return this.#message
  }

  execute(packet: Packet | undefined, wire: Wire): boolean {
    if (!packet) {
      if (!this.#taken) wire.stream.write(this.take())
      wire.sequenceId = 1
      return false
    }
    this.answered = true
    this.#settle(packet.isError() ? packet.asError(wire.clientEncoding) : undefined)
    return true
  }

  /** The driver tells whoever waits that the connection is gone. */
  onResult(error: unknown): void {
    this.#settle(error)
  }
}

/** What of the server's refusals of a set-up says that the database is not the expected one. */
const WRONG_VALUE = 1231
const NO_RIGHT = 1142
const MORE_THAN_ONE = 1242
/** No such table, no such database, or none that this login may know of. */
const NOT_THERE = [1146, 1049, 1044]

/** Why a set-up was refused, when it was for the identity row; undefined when it was for anything else. */
export async function identityError(
  error: unknown,
  place: Place,
  ask: (sql: string) => Promise<Array<{ database_id: string }>>
): Promise<SaasctlError | undefined> {
  const errno = error instanceof Error && 'errno' in error ? error.errno : undefined
  if (NOT_THERE.includes(Number(errno))) return wrong(place, 'has no identity table')
  if (errno === NO_RIGHT) return wrong(place, 'does not show its identity row to this login')
  if (errno === MORE_THAN_ONE) return wrong(place, 'has more than one identity row')
  if (errno !== WRONG_VALUE) return undefined
  const [row] = await ask(`SELECT database_id FROM ${identityOf(place.database)} LIMIT 1`)
  return wrong(place, row ? `says that it is ${row.database_id}` : 'has no identity row')
}

function wrong({ host, port, database }: Place, what: string): SaasctlError {
  return new SaasctlError('IDENTITY_WRONG', `The database "${database}" on ${host}:${port} ${what}.`, {
    hint: 'Nobody is let in. Find out which database it is with `saasctl doctor` before anything else.'
  })
}
