import mysql, { type Connection, type ConnectionOptions } from 'mysql2'
import { SaasctlError } from '../../errors.js'
import type { Credentials, ServerAddress } from '../engine.js'
import { isLoopback } from '../loopback.js'
import { translate } from './errors.js'
import { literal } from './quote.js'
import { type Hello, Session } from './session.js'
import { verifyHost } from './verify-host.js'

export interface Way {
  /** Null sits in no database. */
  database: string | null
  as: Credentials
  /** For whoever reads performance_schema; nothing of ours depends on it. */
  programName: string
}

/** One that MySQL 8 and every MariaDB from 10.11 have, whatever the server's own default is. */
export const COLLATION = 'utf8mb4_unicode_520_ci'

/** What MySQL 8 says by itself. Pinned, for a server may have another and every quote of ours depends on it. */
export const SQL_MODE =
  'ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION'

/** Both flavours know all of these. Default waits are a day for a table's lock in MariaDB, a year in MySQL. */
export const SETTINGS = `SET NAMES utf8mb4 COLLATE ${COLLATION}, SESSION sql_mode = ${literal(SQL_MODE)}, SESSION time_zone = '+00:00',
  SESSION autocommit = 1, SESSION foreign_key_checks = 1, SESSION unique_checks = 1, SESSION sql_safe_updates = 0,
  SESSION lock_wait_timeout = 10, SESSION innodb_lock_wait_timeout = 10, SESSION wait_timeout = 28800,
  SESSION group_concat_max_len = 1048576`

const CONNECT_TIMEOUT_MS = 10_000

/**
 * Opens one session with our settings. Plaintext is refused off loopback; `verify-full` checks the chain and the host's
 * name. The server cannot ask for files of this machine, and nothing sends two statements in one.
 */
export async function connect(server: ServerAddress, way: Way): Promise<Session> {
  const place = { host: server.host, port: server.port, database: way.database ?? '', login: way.as.login }
  const connection = mysql.createConnection(optionsOf(server, way))
  if (server.tls.mode === 'verify-full') verifyHost(connection, server.host)
  let hello: Hello
  try {
    hello = { greeting: await opened(connection), encrypted: server.tls.mode !== 'disable' }
  } catch (error) {
    connection.destroy()
    throw translate(error, place)
  }
  const session: Session = new Session(connection, hello, place, () => isAlive(server, way, connection))
  try {
    await session.run(SETTINGS)
  } catch (error) {
    session.destroy()
    throw error
  }
  return session
}

/** How the driver gets to a server: nothing of it is left to its defaults that matters for safety. */
export function optionsOf(server: ServerAddress, { database, as, programName }: Way): ConnectionOptions {
  const socket = server.host.startsWith('/')
  const ssl = tlsOf(server)
  if (as.login === '') throw new SaasctlError('INVALID_INPUT', 'The name of a database login is not empty.')
  return {
    ...(socket ? { socketPath: server.host } : { host: server.host, port: server.port }),
    ...(database !== null && { database }),
    ...(ssl && { ssl }),
    user: as.login,
    password: as.password.reveal(),
    charset: COLLATION.toUpperCase(),
    timezone: 'Z',
    supportBigNumbers: true,
    multipleStatements: false,
    // A hostile server may ask the client for any file: it is told that this client does not do that.
    flags: ['-LOCAL_FILES'],
    connectAttributes: { program_name: programName },
    connectTimeout: CONNECT_TIMEOUT_MS,
    enableKeepAlive: true,
    keepAliveInitialDelay: 30_000
  }
}

/** What the server says of itself before anybody logs in. The driver keeps it and has no name for it. */
function opened(connection: Connection): Promise<string> {
  return new Promise((resolve, reject) => {
    // Without a listener, an error that comes after the first one ends the whole process.
    connection.on('error', reject)
    connection.connect(error => {
      const { _handshakePacket: hello } = connection as Connection & { _handshakePacket?: { serverVersion: string } }
      if (error) reject(error)
      else resolve(hello?.serverVersion ?? '')
    })
  })
}

/**
 * Asks on a new connection whether the server is still at work for this one. Only what proves the contrary counts: no way
 * to the server, no such session there, or one that has long been waiting for a question itself.
 */
async function isAlive(server: ServerAddress, way: Way, { threadId }: Connection): Promise<boolean> {
  let session: Session | undefined
  try {
    session = await connect(server, { ...way, database: null, programName: 'saasctl/look' })
    const found = await session.rows(
      `SELECT 1 FROM information_schema.PROCESSLIST WHERE ID = ? AND (COMMAND <> 'Sleep' OR TIME < 5)`,
      [threadId]
    )
    return found.length > 0
  } catch (error) {
    return !(error instanceof SaasctlError && error.code === 'SERVER_UNREACHABLE')
  } finally {
    session?.leave()
  }
}

/** The driver's TLS options, or undefined for plaintext, which is for loopback and sockets only. */
export function tlsOf({ host, tls }: ServerAddress): ConnectionOptions['ssl'] {
  if (tls.mode === 'disable') {
    if (!isLoopback(host)) {
      throw new SaasctlError('INVALID_INPUT', `TLS cannot be disabled for "${host}": it is not on this machine.`, {
        hint: 'Use tls mode "verify-full", with the PEM of the authority when it is not one of the system’s.'
      })
    }
    return undefined
  }
  return {
    rejectUnauthorized: true,
    // `verifyHost` does what this would do, for addresses too.
    verifyIdentity: false,
    minVersion: 'TLSv1.2',
    ...(tls.ca !== undefined && { ca: tls.ca })
  }
}
