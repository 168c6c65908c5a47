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
  /** What the server counts: sessions of routers. */
  sessions(): Promise<number>
  stop(): Promise<void>
}

export const NOTES = `
  create table notes (id int generated always as identity primary key, body text not null);
  insert into notes (body) select 'note ' || i from generate_series(1, 1000) i;`

export const scram = 'local all all scram-sha-256\nhost all all 127.0.0.1/32 scram-sha-256\n'
export const trust = 'local all all scram-sha-256\nhost all all 127.0.0.1/32 trust\n'

export async function routedFleet(count: number, folder: string, hba = scram): Promise<RoutedFleet> {
  const server = await startServer({ folder, hba, config: { max_connections: '300' } })
  try {
    await asSuperuser(server, client => client.query('create database model'))
    await asSuperuser(
      server,
      client =>
        client.query(`create schema saasctl; create table saasctl.identity (database_id uuid primary key);
          grant usage on schema saasctl to public; grant select on saasctl.identity to public;
          ${NOTES} grant select, insert, update, delete on notes to public`),
      'model'
    )
    const ways: RoutedWay[] = []
    await together(count, 2, async () => void ways.push(await make(server)))
    return {
      server,
      routing: new PostgresRouting(),
      ways,
      sessions: () =>
        asSuperuser(server, async client => {
          const { rows } = await client.query(
            `select count(*)::int as n from pg_stat_activity where application_name = 'router'`
          )
          return rows[0].n
        }),
      stop: () => server.stop()
    }
  } catch (error) {
    await server.stop()
    throw error
  }
}

async function make(server: TestServer): Promise<RoutedWay> {
  const databaseId = uuidv7()
  const { database, logins } = namesOf(databaseId)
  const password = randomPassword()
  const verifier = await scramVerifier(password)
  await asSuperuser(server, async client => {
    await client.query(`create role ${logins.app_a} login password ${pg.escapeLiteral(verifier)}`)
    await client.query(`create database ${database} template model`)
  })
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

/** The driver's own configuration for the same way. */
export function configOf({ address, database, as }: RoutedWay) {
  const { host, port } = address
  return { host, port, database, user: as.login, password: as.password.reveal() }
}
