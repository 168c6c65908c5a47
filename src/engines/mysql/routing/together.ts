import type { ServerAddress } from '../../engine.js'
import type { SetUp } from './identity-check.js'
import type { Greeting, Wire } from './wire.js'

/** A login is one message of ours then, unless an account wants another proof. */
const ONE_MESSAGE = 'mysql_native_password'

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
  if (greeting?.authPluginName !== ONE_MESSAGE || dialogues.has(nameOf(address))) {
    login()
    return false
  }
  const { stream } = wire
  stream.cork()
  login()
  setUp.submit(wire)
  stream.uncork()
  return true
}

/** Whether a login failed for the statement behind it. It is remembered, and the next one leaves room for a dialogue. */
export function wasTooHasty(wire: Wire, address: ServerAddress): boolean {
  if (!wire._authPlugin) return false
  dialogues.add(nameOf(address))
  return true
}
