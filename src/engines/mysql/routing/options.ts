import type { ConnectionOptions } from 'mysql2'
import type { RoutedWay } from '../../routing.js'
import { sslFor } from './tls.js'

/** Statements that a connection keeps prepared at most: those of `execute`, which only an application itself asks for. */
const PREPARED = 50

export const preparedOf = ({ preparedStatements }: RoutedWay): number => Math.max(1, preparedStatements ?? PREPARED)

/** How the driver is opened for an application: what it returns is what TypeORM's own connection returns. */
export function optionsOf(way: RoutedWay): ConnectionOptions {
  const { host, port } = way.address
  const ssl = sslFor(way.address)
  return {
    ...(host.startsWith('/') ? { socketPath: host } : { host, port }),
    ...(ssl && { ssl }),
    user: way.as.login,
    password: way.as.password.reveal(),
    database: way.database,
    charset: 'UTF8MB4_UNICODE_CI',
    timezone: 'Z',
    supportBigNumbers: true,
    bigNumberStrings: true,
    stringifyObjects: true,
    // A server that asks for our files gets none. With query attributes, which MySQL 8.0.23 has, a statement would have another
    // form on the wire than it has everywhere else.
    flags: ['-LOCAL_FILES', '-CLIENT_QUERY_ATTRIBUTES'],
    connectAttributes: { program_name: way.applicationName },
    maxPreparedStatements: preparedOf(way),
    // A stack for each statement costs as much as sending it; TypeORM's error has one already.
    trace: false,
    // `open` keeps the time itself, up to the identity row's answer.
    connectTimeout: 0,
    enableKeepAlive: true,
    keepAliveInitialDelay: 30_000,
    authPlugins: { mysql_clear_password: refuse, sha256_password: refuse }
  }
}

/** Both hand the password itself to whoever answers at the server's address. */
function refuse(): never {
  throw new Error('the server asked for the password itself')
}
