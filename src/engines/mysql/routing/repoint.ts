import type { EventEmitter } from 'node:events'
import type { RoutedConnection, RoutedWay } from '../../routing.js'
import { ChangeUser, type NewUser, TooHasty } from './change-user.js'
import type { MysqlConnection } from './connection.js'
import type { SetUp } from './identity-check.js'
import { logIn } from './log-in.js'
import { open, refused } from './open.js'
import { mayBeHasty, wasTooHasty } from './together.js'

/**
 * Turns a connection of one tenant into one of another on the same server, by logging in anew on it: the server forgets all
 * that the session was, and it costs a quarter of closing and opening. One that turns out to be gone is opened anew; after any
 * other failure it is closed, for on MariaDB it is the former tenant's still.
 */
export async function repoint(former: RoutedConnection, way: RoutedWay): Promise<MysqlConnection> {
  // The router's connections are those that this engine opened.
  const connection = former as MysqlConnection
  if (connection.inDoubt || !connection.leadsTo(way.address)) {
    await connection.close()
    return open(way)
  }
  connection.turnTo(way)
  try {
    await logIn(connection, way, (setUp, failed) => changeUser(connection, way, setUp, failed))
    return connection
  } catch (thrown) {
    const hasty = thrown instanceof TooHasty
    if (hasty) wasTooHasty(way.address)
    const error = refused(thrown, connection.place)
    const gone = connection.lost && error.code === 'SERVER_UNREACHABLE'
    await connection.close()
    if (gone || hasty) return open(way)
    throw error
  }
}

function changeUser(
  connection: MysqlConnection,
  { as, database, address }: RoutedWay,
  setUp: SetUp,
  failed: (error: unknown) => void
): void {
  const user = { user: as.login, password: as.password.reveal(), database }
  // In the place of an empty one, the driver sends the former tenant's.
  if (!user.user || !user.password || !database) {
    failed(new TypeError('A login has a name, a password and a database.'))
    return
  }
  const settle = (error?: unknown) => (error ? failed(error) : connection.entered())
  const { wire } = connection
  if (!mayBeHasty(wire._handshakePacket, address)) {
    byDriver(connection, user, settle)
    return
  }
  const change = new ChangeUser(user, setUp, connection.asksAgain, error => {
    if (!error) connection.asksAgain = change.asked
    settle(error)
  })
  wire.addCommand(change)
}

function byDriver({ driver, wire }: MysqlConnection, user: NewUser, settle: (error?: unknown) => void): void {
  const change = driver.changeUser(user, settle) as unknown as EventEmitter
  // Where the server wants another proof of the password than the driver can give, it says so to whoever listens, and waits.
  change.on('error', error => {
    settle(error)
    wire.stream.destroy()
  })
}
