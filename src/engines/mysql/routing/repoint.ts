import type { EventEmitter } from 'node:events'
import type { RoutedConnection, RoutedWay } from '../../routing.js'
import type { MysqlConnection } from './connection.js'
import { logIn } from './log-in.js'
import { open, refused } from './open.js'

/**
 * Turns a connection of one tenant into one of another on the same server, by logging in anew on it: the server forgets all
 * that the session was, and it costs a third of closing and opening. One that turns out to be gone is opened anew; after any
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
    // Not in the same breath as the set-up: MariaDB wants the password proved anew, in a dialogue, whoever it is.
    await logIn(connection, way, (_, failed) => changeUser(connection, way, failed))
    return connection
  } catch (thrown) {
    const error = refused(thrown, connection.place)
    const gone = connection.lost && error.code === 'SERVER_UNREACHABLE'
    await connection.close()
    if (gone) return open(way)
    throw error
  }
}

function changeUser(connection: MysqlConnection, { as, database }: RoutedWay, failed: (error: unknown) => void): void {
  const user = as.login
  const password = as.password.reveal()
  // In the place of an empty one, the driver sends the former tenant's.
  if (!user || !password || !database) {
    failed(new TypeError('A login has a name, a password and a database.'))
    return
  }
  const { driver, wire } = connection
  const change = driver.changeUser({ user, password, database }, error => {
    if (error) failed(error)
    else connection.entered()
  }) as unknown as EventEmitter
  // Where the server wants another proof of the password than the driver can give, it says so to whoever listens, and waits.
  change.on('error', error => {
    failed(error)
    wire.stream.destroy()
  })
}
