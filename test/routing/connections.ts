import { execFile } from 'node:child_process'
import { chown, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { inspect, promisify } from 'node:util'
import type pg from 'pg'
import t, { type Test } from 'tap'
import { connect } from '../../src/engines/postgres/connect.js'
import { PostgresRouting } from '../../src/engines/postgres/routing/routing.js'
import type { RoutedConnection, RoutedWay } from '../../src/engines/routing.js'
import { uuidv7 } from '../../src/names.js'
import { Secret } from '../../src/secret.js'
import { eventually } from '../support/eventually.js'
import { proxyTo } from '../support/proxy.js'
import { type RoutedServer, type RoutedTenant, routedServer } from '../support/routed-tenants.js'
import { postgresBinaries, skipWithoutPostgres } from '../support/servers.js'

if (!(await skipWithoutPostgres(t))) {
  for (const binaries of await postgresBinaries()) {
    t.test(`PostgreSQL ${binaries.version}`, async t => {
      const server = await routedServer(2, 'create table notes (id int primary key);', { binaries })
      t.teardown(() => server.stop())
      await t.test('the way in', t => theWayIn(t, server))
      await t.test('identity', t => identity(t, server))
      await t.test('a server that does not answer', t => silence(t, server))
      await t.test('TLS', t => tls(t, server))
    })
  }
}
t.test('a server that is not ours', rogue)

async function theWayIn(t: Test, server: RoutedServer) {
  const { routing } = server
  const [a] = server.tenants as [RoutedTenant]

  t.test('the session is the app login’s, with the plan’s time limit and our name on it', async t => {
    const connection = await opened(t, routing, a.way({ statementTimeoutMs: 4321, applicationName: 'acme-router' }))
    const { rows } = await clientOf(connection).query(
      `select session_user::text as login, current_user::text as role, current_database()::text as database,
        current_setting('statement_timeout') as timeout, current_setting('application_name') as name`
    )
    t.same(rows[0], {
      login: a.names.logins.app_a,
      role: a.names.app,
      database: a.names.database,
      timeout: '4321ms',
      name: 'acme-router'
    })
    t.match(connection, { inDoubt: false, inTransaction: false, settling: undefined })
  })

  t.test('nothing of the environment leads it elsewhere or gives it other settings', async t => {
    const before = { ...process.env }
    Object.assign(process.env, {
      PGPASSWORD: 'wrong',
      PGOPTIONS: '-c search_path=elsewhere',
      PGAPPNAME: 'other',
      PGDATABASE: 'x'
    })
    t.teardown(() => {
      for (const name of ['PGPASSWORD', 'PGOPTIONS', 'PGAPPNAME', 'PGDATABASE']) delete process.env[name]
      Object.assign(process.env, before)
    })
    const connection = await opened(t, routing, a.way())
    const { rows } = await clientOf(connection).query(
      `select current_setting('search_path') as path, current_setting('application_name') as name`
    )
    t.same(rows[0], { path: '"$user", public', name: 'app' })
  })

  t.test('a wrong password is refused, also after the right one was used with the same version', async t => {
    await opened(t, routing, a.way())
    const wrong = a.way({ as: { login: a.names.logins.app_a, password: new Secret('not-the-password') } })
    await t.rejects(routing.open(wrong), { code: 'SERVER_DENIED' })
    await t.rejects(new PostgresRouting().open(wrong), { code: 'SERVER_DENIED' })
    await opened(t, routing, a.way())
  })

  t.test('a changed password is good at once, and the old one no longer', async t => {
    const password = new Secret('another-password-1')
    await server.running.admin(`alter role ${a.names.logins.app_b} password '${password.reveal()}'`)
    const way = a.way({ as: { login: a.names.logins.app_b, password } })
    await opened(t, routing, way)
    await server.running.admin(`alter role ${a.names.logins.app_b} password 'another-password-2'`)
    await t.rejects(routing.open(way), { code: 'SERVER_DENIED' })
    const next = { login: a.names.logins.app_b, password: new Secret('another-password-2') }
    await opened(t, routing, a.way({ as: next, loginVersion: 2 }))
    await opened(t, routing, a.way({ as: next }), 'whatever version it is said to be')
  })

  t.test('a closed login is refused', async t => {
    await server.running.admin(`alter role ${a.names.logins.app_b} nologin`)
    await t.rejects(routing.open(a.way({ as: a.as('app_b') })), { code: 'SERVER_DENIED' })
  })

  t.test('no password is in an error, in a connection, or in what they print', async t => {
    const secret = 'hush-hush-hush'
    const error = await routing
      .open(a.way({ as: { login: a.names.logins.app_a, password: new Secret(secret) } }))
      .catch(e => e)
    for (const way of [a.way(), a.way({ address: { ...a.way().address, port: 1 } })]) {
      const other = await routing.open(way).catch(e => e)
      if ('close' in other) t.teardown(() => other.close())
      const seen = inspect(other, { depth: 20, showHidden: true })
      t.notOk(seen.includes(a.passwords.app_a.reveal()))
    }
    const seen = inspect(error, { depth: 20, showHidden: true }) + JSON.stringify(error) + error.stack
    t.notOk(seen.includes(secret))
    t.notOk(inspect(routing, { depth: 20, showHidden: true }).includes(a.passwords.app_a.reveal()))
  })

  t.test('an idle connection that is ended says so once, and ends no process', async t => {
    const connection = await opened(t, routing, a.way())
    const told: string[] = []
    const ended = new Promise<void>(resolve =>
      connection.onEnd(() => {
        told.push('in time')
        resolve()
      })
    )
    await server.running.admin(`select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'app'`)
    await ended
    t.ok(connection.inDoubt)
    await connection.close()
    await connection.close()
    connection.onEnd(() => told.push('late'))
    t.same(told, ['in time', 'late'], 'who asks late is told at once')
  })
}

async function identity(t: Test, server: RoutedServer) {
  const { routing } = server
  const [a, b] = server.tenants as [RoutedTenant, RoutedTenant]
  /** The server counts a session for a moment after its socket is closed. */
  const none = () => eventually(server.sessions, count => count === 0)

  t.test(
    'a database that says it is another one is refused, and the server has let go when the error comes',
    async t => {
      await t.rejects(routing.open(a.way({ databaseId: b.id })), { code: 'IDENTITY_WRONG', message: new RegExp(a.id) })
      await none()
    }
  )

  t.test('so is one with no identity row, with two, without the table, or that does not show it', async t => {
    const before = `delete from saasctl.identity; insert into saasctl.identity (database_id) values ('${b.id}')`
    const wrongs = {
      'no identity row': 'delete from saasctl.identity',
      'more than one': `insert into saasctl.identity (database_id) values ('${uuidv7()}')`,
      'does not show': `revoke select on saasctl.identity from ${b.names.app}`,
      'no identity table': 'alter table saasctl.identity rename to hidden'
    }
    for (const [what, sql] of Object.entries(wrongs)) {
      await server.running.admin(sql, b.names.database)
      await t.rejects(routing.open(b.way()), { code: 'IDENTITY_WRONG', message: new RegExp(what) })
      if (what !== 'does not show' && what !== 'no identity table') await server.running.admin(before, b.names.database)
    }
    await server.running.admin('alter table saasctl.hidden rename to identity', b.names.database)
    await server.running.admin(`grant select on saasctl.identity to ${b.names.app}`, b.names.database)
    await opened(t, routing, b.way())
  })

  t.test('one that cannot say it in time is given up, and its session ended', async t => {
    const held = await server.running.hold(b.names.database, b.as('owner'))
    await held.query('begin; lock table saasctl.identity in access exclusive mode')
    await t.rejects(routing.open(b.way({ connectTimeoutMs: 200 })), { code: 'SERVER_UNREACHABLE' })
    await none()
    await held.close()
  })
}

async function silence(t: Test, server: RoutedServer) {
  const { routing } = server
  const [a] = server.tenants as [RoutedTenant]
  const { host, port, tls } = a.way().address
  const proxy = await proxyTo({ host, port })
  t.teardown(() => proxy.close())
  const way = a.way({ address: { host: '127.0.0.1', port: proxy.port, tls }, connectTimeoutMs: 150 })

  t.test('nobody there, a black hole and a reset are one and the same error, in bounded time', async t => {
    await t.rejects(routing.open(a.way({ address: { host, port: 1, tls } })), {
      code: 'SERVER_UNREACHABLE',
      retryable: true
    })
    proxy.mode = 'silent'
    await t.rejects(routing.open(way), { code: 'SERVER_UNREACHABLE', retryable: true })
    proxy.mode = 'closed'
    await t.rejects(routing.open(way), { code: 'SERVER_UNREACHABLE', retryable: true })
    proxy.mode = 'pass'
    await opened(t, routing, { ...way, connectTimeoutMs: 10_000 })
  })

  t.test('closing a connection that is cut off in the middle of a statement comes to an end', async t => {
    const connection = await routing.open({ ...way, connectTimeoutMs: 10_000 })
    const running = t.rejects(clientOf(connection).query('select pg_sleep(600)'))
    await sleep(20)
    proxy.mode = 'silent'
    await connection.close()
    await running
    proxy.mode = 'pass'
    proxy.cut()
    await server.running.admin(`select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'app'`)
  })
}

async function tls(t: Test, server: RoutedServer) {
  const { routing } = server
  const { dataDir } = server.running.server
  const [a] = server.tenants as [RoutedTenant]
  const folder = await mkdtemp(join(tmpdir(), 'saasctl-tls-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const { uid, gid } = await stat(dataDir)
  const ca = await certificate(folder)
  for (const name of ['server.crt', 'server.key']) {
    await writeFile(join(dataDir, name), await readFile(join(folder, name)), { mode: 0o600 })
    await chown(join(dataDir, name), uid, gid)
  }
  await server.running.admin('alter system set ssl = on')
  await server.running.restart()
  const { host, port } = a.way().address
  const way = a.way({ address: { host, port, tls: { mode: 'verify-full', ca } } })

  t.test('the session is encrypted, and so is the request that stops it', async t => {
    const connection = await opened(t, routing, way)
    const client = clientOf(connection)
    const [row] = await server.running.admin(
      `select ssl from pg_stat_ssl join pg_stat_activity using (pid) where application_name = 'app'`
    )
    t.equal(row?.['ssl'], true)
    const running = t.rejects(client.query('select pg_sleep(600)'))
    await sleep(20)
    await connection.close()
    await running
    await eventually(server.sessions, count => count === 0)
  })

  t.test('a server that nobody vouches for is not told who we are', async t => {
    await t.rejects(routing.open(a.way({ address: { host, port, tls: { mode: 'verify-full' } } })), {
      code: 'SERVER_DENIED'
    })
    await t.rejects(routing.open(a.way({ address: { host: 'db.example.com', port, tls: { mode: 'disable' } } })), {
      code: 'INVALID_INPUT'
    })
  })
}

async function rogue(t: Test) {
  const password = 'do-not-tell'
  const message = (type: string, ...parts: Array<number | string>) => {
    const body = Buffer.concat(
      parts.map(part => (typeof part === 'string' ? Buffer.from(part) : Buffer.from([0, 0, 0, part])))
    )
    const length = Buffer.alloc(4)
    length.writeInt32BE(body.length + 4)
    return Buffer.concat([Buffer.from(type), length, body])
  }
  const sasl = message('R', 10, 'SCRAM-SHA-256\0\0')
  const ready = Buffer.concat([message('R', 0), message('Z', 'I')])
  const firstOf = (said: string) => message('R', 11, `r=${/r=([^,]+)/.exec(said)?.[1]}rogue,s=c2FsdHNhbHQ=,i=4096`)

  const answers: Record<string, (said: string, turn: number) => Buffer | undefined> = {
    'asks for the password in the clear': () => message('R', 3),
    'asks for MD5': () => message('R', 5, 'salt'),
    'offers another mechanism only': () => message('R', 10, 'PLAIN\0\0'),
    'lets us in without proof': (said, turn) => [sasl, firstOf(said), ready][turn],
    'proves it wrongly': (said, turn) => [sasl, firstOf(said), message('R', 12, `v=${'A'.repeat(43)}=`)][turn],
    'changes our nonce': (_, turn) => [sasl, message('R', 11, 'r=another,s=c2FsdHNhbHQ=,i=4096')][turn],
    'wants to keep us busy': (said, turn) =>
      [sasl, message('R', 11, `r=${/r=([^,]+)/.exec(said)?.[1]}rogue,s=c2FsdHNhbHQ=,i=9999999`)][turn],
    'answers with nonsense': (_, turn) => [sasl, message('R', 11, 'nonsense')][turn]
  }
  for (const [what, answer] of Object.entries(answers)) {
    t.test(`that ${what} is refused and learns nothing`, async t => {
      let heard = ''
      const sockets = new Set<Socket>()
      const server = createServer(socket => {
        let turn = 0
        sockets.add(socket)
        socket.on('error', () => {})
        socket.on('data', data => {
          heard += data.toString('latin1')
          const said = answer(data.toString('latin1'), turn)
          turn += 1
          if (said) socket.write(said)
        })
      })
      await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
      t.teardown(() => {
        for (const socket of sockets) socket.destroy()
        server.close()
      })
      const { port } = server.address() as AddressInfo
      const way: RoutedWay = {
        address: { host: '127.0.0.1', port, tls: { mode: 'disable' } },
        database: 'tenant',
        databaseId: uuidv7(),
        as: { login: 'app', password: new Secret(password) },
        loginVersion: 1,
        applicationName: 'app',
        statementTimeoutMs: null,
        connectTimeoutMs: 10_000
      }
      await t.rejects(new PostgresRouting().open(way), { code: 'SERVER_DENIED' })
      // The control plane’s own sessions may go to a server that asks in the clear; who asks for SCRAM must know the password.
      if (!/clear|MD5/.test(what)) {
        await t.rejects(connect(way.address, { ...way, applicationName: 'saasctl' }), { code: 'SERVER_DENIED' })
      }
      t.notOk(heard.includes(password))
    })
  }
}

const clientOf = (connection: RoutedConnection) => connection.driver as pg.Client

async function opened(
  t: Test,
  routing: PostgresRouting,
  way: RoutedWay,
  what = 'is let in'
): Promise<RoutedConnection> {
  const connection = await routing.open(way)
  t.teardown(() => connection.close())
  t.equal(connection.inDoubt, false, what)
  return connection
}

async function certificate(folder: string): Promise<string> {
  const files = ['-keyout', join(folder, 'server.key'), '-out', join(folder, 'server.crt')]
  const subject = ['-subj', '/CN=server', '-addext', 'subjectAltName=IP:127.0.0.1']
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2']
  await promisify(execFile)('openssl', ['req', '-x509', ...kind, ...files, ...subject])
  return readFile(join(folder, 'server.crt'), 'utf8')
}
