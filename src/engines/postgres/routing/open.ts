import pg from 'pg'
import { SaasctlError } from '../../../errors.js'
import type { RoutedWay } from '../../routing.js'
import { tlsOf } from '../connect.js'
import { answerOf, type Place, translate } from '../errors.js'
import { PostgresConnection } from './connection.js'
import { IdentityCheck } from './identity-check.js'
import { logIn } from './log-in.js'
import { preparing, type StatementNames } from './prepared.js'
import type { ScramMemo } from './scram-memo.js'

/** Stand above what the role, the database and the environment say; an application's own `search_path` is left alone. */
const SETTINGS = { tcp_keepalives_idle: '30', tcp_keepalives_interval: '10', tcp_keepalives_count: '3' }

const PREPARED = 50

/** Opens a connection and reads the identity row. When it fails, the server has let the connection go before the error. */
export async function open(way: RoutedWay, memo: ScramMemo, names: StatementNames): Promise<PostgresConnection> {
  const { address, database, as, statementTimeoutMs } = way
  const place = { host: address.host, port: address.port, database, login: as.login }
  const settings = {
    ...SETTINGS,
    ...(statementTimeoutMs !== null && { statement_timeout: String(statementTimeoutMs) })
  }
  const client = new pg.Client({
    host: address.host,
    port: address.port,
    database,
    user: as.login,
    // The driver never gets the password: `logIn` does its part. An empty one would let it look in PGPASSWORD.
    password: () => '',
    ssl: tlsOf(address),
    sslnegotiation: 'postgres',
    application_name: way.applicationName,
    options: Object.entries(settings)
      .map(([name, value]) => `-c ${name}=${value}`)
      .join(' '),
    client_encoding: 'UTF8',
    keepAlive: true,
    keepAliveInitialDelayMillis: 30_000
  })
  const connection = new PostgresConnection(client, address, place)
  try {
    await enter(client, way, place, memo)
    const { preparedStatements = PREPARED } = way
    if (preparedStatements > 0) preparing(client, names, preparedStatements, () => connection.outdated())
    return connection
  } catch (error) {
    await connection.close()
    throw refused(error, place)
  }
}

function enter(client: pg.Client, way: RoutedWay, place: Place, memo: ScramMemo): Promise<void> {
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => settle(new Error('connection timeout')), way.connectTimeoutMs)
    const settle = (error?: unknown) => {
      clearTimeout(late)
      if (error === undefined) resolve()
      else reject(error)
    }
    const check = new IdentityCheck(way.databaseId, place, settle)
    // As a callback, because its answer comes in the same breath as the server's "ready" and must find somebody waiting.
    client.connect((error: Error | null) => {
      if (error) settle(error)
      else client.query(check)
    })
    logIn(client, way, memo, check)
  })
}

/** Whose limit was met, where it was one: by the function that said it, for its words are in the server's language. */
const tenantLimits = new Set(['InitializeSessionUserId', 'CheckMyDatabase'])

function refused(thrown: unknown, place: Place): SaasctlError {
  const error = translate(thrown, place)
  if (answerOf(error)?.state !== '53300') return error
  const routine = thrown instanceof Error && 'routine' in thrown ? String(thrown.routine) : ''
  const full = tenantLimits.has(routine) ? 'tenant' : 'server'
  return new SaasctlError(error.code, error.message, { data: { full }, retryable: true })
}
