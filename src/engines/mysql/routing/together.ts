import type { ServerAddress } from '../../engine.js'
import { NATIVE } from './change-user.js'
import type { SetUp } from './identity-check.js'
import type { Greeting, Wire } from './wire.js'

/** Servers on which an account wanted another proof: they took the statement behind the login for it. */
const dialogues = new Set<string>()

const nameOf = ({ host, port }: ServerAddress) => `${host}:${port}`

/**
 * Sends a login and, where a statement may follow at once, the set-up behind it: that saves a round trip, a third of what a
 * connection costs. Gives whether it did.
 */
export function together(
  wire: Wire,
  greeting: Greeting | null,
  address: ServerAddress,
  setUp: SetUp,
  login: () => void
): boolean {
  if (!mayBeHasty(greeting, address)) {
    login()
    return false
  }
  const { write } = wire
  const messages: Buffer[] = []
  wire.write = message => messages.push(message)
  login()
  wire.write = write
  wire.stream.write(Buffer.concat([...messages, setUp.take()]))
  return true
}

/** A login is one message of ours on such a server, unless an account wants another proof. */
export function mayBeHasty(greeting: Greeting | null, address: ServerAddress): boolean {
  return greeting?.authPluginName === NATIVE && !dialogues.has(nameOf(address))
}

/** A login failed for what was sent behind it: the next one leaves room for a dialogue. */
export function wasTooHasty(address: ServerAddress): void {
  dialogues.add(nameOf(address))
}
