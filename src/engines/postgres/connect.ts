import { checkServerIdentity } from 'node:tls'
import pg from 'pg'
import { SaasctlError } from '../../errors.js'
import type { Credentials, ServerAddress } from '../engine.js'
import { isLoopback } from '../loopback.js'
import { translate } from './errors.js'
import { answerScramFor } from './log-in.js'
import { Session } from './session.js'

export interface Way {
  database: string
  as: Credentials
  applicationName: string
  /** Settings of the session from its first statement on; they stand above those that a role or database was given. */
  settings?: Record<string, string>
}

/** Names of ours are always qualified; what is not is looked up in the system's own schema alone. */
const SETTINGS = {
  search_path: 'pg_catalog,pg_temp',
  // What a step reports as done must outlive a crash, also on a server that leaves its other commits to chance.
  synchronous_commit: 'on',
  // Compiling a query over the system's tables takes longer than running it.
  jit: 'off',
  // A peer that is gone without a word keeps its locks for two hours by default. Here it is noticed in about a minute.
  tcp_keepalives_idle: '30',
  tcp_keepalives_interval: '10',
  tcp_keepalives_count: '3'
}

const CONNECT_TIMEOUT_MS = 10_000

/** Opens one session. Plaintext is refused off loopback; `verify-full` checks the chain and the host's name. */
export async function connect(server: ServerAddress, way: Way): Promise<Session> {
  const place = { host: server.host, port: server.port, database: way.database, login: way.as.login }
  const settings = Object.entries({ ...SETTINGS, ...way.settings })
  const client = new pg.Client({
    host: server.host,
    port: server.port,
    database: way.database,
    user: way.as.login,
    // As a function, because the driver would put PGPASSWORD in the place of an empty string.
    password: () => way.as.password.reveal(),
    ssl: tlsOf(server),
    sslnegotiation: 'postgres',
    application_name: way.applicationName,
    options: settings.map(([name, value]) => `-c ${name}=${value}`).join(' '),
    client_encoding: 'UTF8',
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    // On our side too: without a delay of its own, the system waits two hours before it asks.
    keepAlive: true,
    keepAliveInitialDelayMillis: 30_000
  })
  const session = new Session(client, place, () => isAlive(server, way, client))
  try {
    const connecting = client.connect()
    answerScramFor(client, way.as.login, way.as.password)
    await connecting
  } catch (error) {
    session.destroy()
    throw translate(error, place)
  }
  return session
}

/**
 * Asks on a new connection whether the server is still at work for this one. Only what proves the contrary counts: no way
 * to the server, no such session there, or one that has long been waiting for a question itself.
 */
async function isAlive(server: ServerAddress, way: Way, client: pg.Client): Promise<boolean> {
  const { processID } = client as pg.Client & { processID: number }
  let session: Session | undefined
  try {
    session = await connect(server, { ...way, applicationName: 'saasctl/look' })
    const found = await session.rows(
      `SELECT FROM pg_catalog.pg_stat_activity WHERE pid = $1
         AND (state !~ '^idle' OR state_change > pg_catalog.clock_timestamp() - interval '5 s') IS NOT FALSE`,
      [processID]
    )
    return found.length > 0
  } catch (error) {
    return !(error instanceof SaasctlError && error.code === 'SERVER_UNREACHABLE')
  } finally {
    session?.leave()
  }
}

export function tlsOf({ host, tls }: ServerAddress) {
  if (tls.mode === 'disable') {
    if (!isLoopback(host)) {
      throw new SaasctlError('INVALID_INPUT', `TLS cannot be disabled for "${host}": it is not on this machine.`, {
        hint: 'Use tls mode "verify-full", with the PEM of the authority when it is not one of the system’s.'
      })
    }
    return false as const
  }
  return {
    rejectUnauthorized: true,
    minVersion: 'TLSv1.2' as const,
    ...(tls.ca !== undefined && { ca: tls.ca }),
    // Stated here, so that the check does not depend on what the driver passes as the name of an IP address.
    checkServerIdentity: (_: string, certificate: Parameters<typeof checkServerIdentity>[1]) =>
      checkServerIdentity(host, certificate)
  }
}
