import pg from 'pg'
import { namesOf } from '../../src/engines/postgres/names.js'
import { PostgresRouting } from '../../src/engines/postgres/routing/routing.js'
import type { RoutedWay } from '../../src/engines/routing.js'
import { uuidv7 } from '../../src/names.js'
import { scramVerifier } from '../../src/scram.js'
import { Secret } from '../../src/secret.js'
import { randomPassword } from '../../src/secrets/passwords.js'
import { asSuperuser, startServer, type TestServer } from '../../test/support/servers.js'
import { together } from './measure.js'

/** Many databases, each with a login and an identity row of its own, made by a short way: none of the control plane's. */
export interface RoutedFleet {
  server: TestServer
  routing: PostgresRouting
  ways: RoutedWay[]
  stop(): Promise<void>
}

export interface FleetOptions {
  hba?: string
  /** The server's own limit. */
  maxConnections?: number
}

export const scram = 'local all all scram-sha-256\nhost all all 127.0.0.1/32 scram-sha-256\n'
export const trust = 'local all all scram-sha-256\nhost all all 127.0.0.1/32 trust\n'

const SCHEMA = `
  create schema saasctl; create table saasctl.identity (database_id uuid primary key);
  grant usage on schema saasctl to public; grant select on saasctl.identity to public;
  create table notes (id int generated always as identity primary key, body text not null);
  insert into notes (body) select 'note ' || i from generate_series(1, 1000) i;
  grant select, insert, update, delete on notes to public;`

/** What nobody asks for in a benchmark: 5 MB a database instead of 8, so that 2,000 of them fit in memory. */
const SLIM = ['set allow_system_table_mods = on', 'drop schema information_schema cascade', 'truncate pg_description']

/**
 * Makes them in memory, two at a time, some 30 ms each. Each was connected to once, because the first time ever costs the
 * server 11 ms whoever does it.
 */
export async function routedFleet(count: number, options: FleetOptions = {}): Promise<RoutedFleet> {
  const { hba = scram, maxConnections = 300 } = options
  const server = await startServer({
    hba,
    config: {
      max_connections: String(maxConnections),
      autovacuum: 'off',
      wal_level: 'minimal',
      max_wal_senders: '0'
    }
  })
  const { login, password } = server.superuser
  const place = { host: server.socketDir, port: server.port, user: login, password }
  const superuser = new pg.Pool({ ...place, database: 'postgres', max: 2 })
  try {
    await superuser.query('create database model')
    await asSuperuser(server, client => client.query(SCHEMA), 'model')
    await asSuperuser(server, client => inTurn(client, [...SLIM, 'vacuum full']), 'model')
    await superuser.query('revoke all on database model from public')
    const ways: RoutedWay[] = []
    await together(count, 2, async () => void ways.push(await make(server, superuser)))
    return { server, routing: new PostgresRouting(), ways, stop: () => server.stop() }
  } catch (error) {
    await server.stop()
    throw error
  } finally {
    await superuser.end()
  }
}

async function make(server: TestServer, superuser: pg.Pool): Promise<RoutedWay> {
  const databaseId = uuidv7()
  const { database, logins } = namesOf(databaseId)
  const password = randomPassword()
  const verifier = await scramVerifier(password)
  await superuser.query(`create role ${logins.app_a} login password ${pg.escapeLiteral(verifier)}`)
  // Two checkpoints each, which cost nothing in memory, and none of the log that the other strategy writes.
  await superuser.query(`create database ${database} template model strategy file_copy`)
  await superuser.query(
    `revoke all on database ${database} from public; grant connect on database ${database} to ${logins.app_a}`
  )
  await asSuperuser(server, client => client.query('insert into saasctl.identity values ($1)', [databaseId]), database)
  return {
    address: { host: server.host, port: server.port, tls: { mode: 'disable' } },
    database,
    databaseId,
    as: { login: logins.app_a, password: new Secret(password.reveal()) },
    loginVersion: 1,
    applicationName: 'router',
    statementTimeoutMs: null,
    connectTimeoutMs: 10_000
  }
}

async function inTurn(client: pg.Client, statements: string[]): Promise<void> {
  for (const statement of statements) await client.query(statement)
}

/** The driver's own configuration for the same way. */
export function configOf({ address, database, as }: RoutedWay) {
  const { host, port } = address
  return { host, port, database, user: as.login, password: as.password.reveal() }
}
