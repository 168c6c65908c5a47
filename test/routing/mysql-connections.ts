import { execFile } from 'node:child_process'
import { chown, mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { inspect, promisify } from 'node:util'
import type { Connection } from 'mysql2'
import t, { type Test } from 'tap'
import { identityOf } from '../../src/engines/mysql/identity.js'
import { recordsOf } from '../../src/engines/mysql/names.js'
import { MysqlRouting } from '../../src/engines/mysql/routing/routing.js'
import type { RoutedConnection, RoutedWay } from '../../src/engines/routing.js'
import { uuidv7 } from '../../src/names.js'
import { Secret } from '../../src/secret.js'
import { eventually } from '../support/eventually.js'
import { skipWithoutMysql } from '../support/mariadb-server.js'
import { proxyTo } from '../support/proxy.js'
import { type MysqlServer, type MysqlTenant, mysqlServer } from '../support/routed-mysql.js'

if (!(await skipWithoutMysql(t))) {
  // As a stranger might have set it up: with modes that make quoting unsafe, and transactions that begin by themselves.
  const server = await mysqlServer(
    2,
    [
      'create table notes (id int primary key)',
      'create procedure half() begin start transaction; insert into notes values (1); signal sqlstate "45000"; end'
    ],
    ['--sql-mode=NO_BACKSLASH_ESCAPES', '--autocommit=0', '--character-set-server=latin1', '--default-time-zone=+05:00']
  )
  t.teardown(() => server.stop())
  await t.test('the way in', t => theWayIn(t, server))
  await t.test('identity', t => identity(t, server))
  await t.test('between two statements', t => between(t, server))
  await t.test('limits of the server', t => limits(t, server))
  await t.test('a server that does not answer', t => silence(t, server))
  await t.test('TLS', t => tls(t, server))
  await t.test('a server that is not ours', rogue)
}

async function theWayIn(t: Test, { routing, running, tenants }: MysqlServer) {
  const [a] = tenants as [MysqlTenant, MysqlTenant]

  t.test('the session is the app login’s, in our modes and time zone, whatever the server’s are', async t => {
    const connection = await opened(t, routing, a.way({ statementTimeoutMs: 4321 }))
    const [row] = await rows(
      connection,
      `select current_user() as login, database() as db, @@max_statement_time as t, @@time_zone as zone, @@autocommit as auto,
        @@sql_mode as modes, @@character_set_client as client, @@character_set_results as results`
    )
    t.match(row, {
      login: `${a.as.login}@%`,
      db: a.database,
      t: 4.321,
      zone: '+00:00',
      auto: 1,
      client: 'utf8mb4',
      results: 'utf8mb4'
    })
    t.match(row?.['modes'], /STRICT_TRANS_TABLES/)
    t.notMatch(row?.['modes'], /NO_BACKSLASH_ESCAPES|ANSI_QUOTES/)
    t.match(connection, { inDoubt: false, inTransaction: false, settling: undefined })
  })

  t.test('a value that looks like SQL stays a value', async t => {
    const connection = await opened(t, routing, a.way())
    const evil = "\\' or 1=1 -- 🦊"
    const found = await promised(connection, 'select ? as value', [evil])
    t.same(found, [{ value: evil }])
  })

  t.test(
    'a statement that takes longer than the plan allows is ended, and the connection is as good as before',
    async t => {
      const connection = await opened(t, routing, a.way({ statementTimeoutMs: 400 }))
      t.equal(await refused(rows(connection, 'select count(*) from seq_1_to_100000000 a join seq_1_to_1000 b')), 1969)
      await connection.settling
      t.equal(connection.inDoubt, false)
    }
  )

  t.test('a wrong password is refused, a changed one is good at once, and a locked account lets nobody in', async t => {
    const wrong = { login: a.as.login, password: new Secret('not-the-password') }
    await t.rejects(routing.open(a.way({ as: wrong })), { code: 'SERVER_DENIED' })
    await running.root(`alter user ${a.as.login} identified by 'another-password'`)
    await t.rejects(routing.open(a.way()), { code: 'SERVER_DENIED' })
    await opened(t, routing, a.way({ as: { login: a.as.login, password: new Secret('another-password') } }))
    await running.root(`alter user ${a.as.login} identified by '${a.as.password.reveal()}' account lock`)
    await t.rejects(routing.open(a.way()), { code: 'SERVER_DENIED' })
    await running.root(`alter user ${a.as.login} account unlock`)
    await opened(t, routing, a.way())
  })

  t.test('no password is in an error, in a connection, or in what they print', async t => {
    const secret = 'hush-hush-hush'
    const error = await routing.open(a.way({ as: { login: a.as.login, password: new Secret(secret) } })).catch(e => e)
    const connection = await opened(t, routing, a.way())
    const unreachable = await routing.open(a.way({ address: { ...a.way().address, port: 1 } })).catch(e => e)
    for (const one of [error, connection, unreachable, routing]) {
      const seen = inspect(one, { depth: 30, showHidden: true }) + (one instanceof Error ? JSON.stringify(one) : '')
      t.notOk(seen.includes(secret) || seen.includes(a.as.password.reveal()))
    }
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
    await running.root(`kill ${clientOf(connection).threadId}`)
    await ended
    t.ok(connection.inDoubt)
    await connection.close()
    await connection.close()
    connection.onEnd(() => told.push('late'))
    t.same(told, ['in time', 'late'], 'who asks late is told at once')
  })
}

async function identity(t: Test, { routing, running, tenants, sessions }: MysqlServer) {
  const [a, b] = tenants as [MysqlTenant, MysqlTenant]
  const change = (sql: string) => running.root(`use ${recordsOf(b.database)}; set autocommit = 1; ${sql}`)

  t.test('a database that says it is another one is refused, and the server has let go', async t => {
    await t.rejects(routing.open(a.way({ databaseId: b.id })), { code: 'IDENTITY_WRONG', message: new RegExp(a.id) })
    await none(t, sessions)
  })

  t.test('so is one with no identity row, with two, without the table, or that does not show it', async t => {
    const wrongs: Record<string, [wrong: string, right: string]> = {
      'no identity row': ['delete from identity', `insert into identity (database_id) values ('${b.id}')`],
      'more than one': [
        `insert into identity (database_id) values ('${uuidv7()}')`,
        `delete from identity where database_id <> '${b.id}'`
      ],
      'no identity table': ['rename table identity to hidden', 'rename table hidden to identity'],
      'does not show': [
        `revoke select on ${recordsOf(b.database)}.* from ${b.as.login}`,
        `grant select on ${recordsOf(b.database)}.* to ${b.as.login}`
      ]
    }
    for (const [what, [wrong, right]] of Object.entries(wrongs)) {
      await change(wrong)
      await t.rejects(routing.open(b.way()), { code: 'IDENTITY_WRONG', message: new RegExp(what) }, what)
      await change(right)
    }
    await opened(t, routing, b.way())
  })

  t.test('one that cannot say it in time is given up, and its session ended', async t => {
    const holder = await opened(t, routing, b.way())
    await rows(holder, `lock tables ${identityOf(b.database)} write`)
    await t.rejects(routing.open(b.way({ connectTimeoutMs: 200 })), { code: 'SERVER_UNREACHABLE' })
    await holder.close()
    await none(t, sessions)
  })
}

async function between(t: Test, { routing, tenants, sessions }: MysqlServer) {
  const [a] = tenants as [MysqlTenant]

  t.test('a transaction is seen from its begin to its end', async t => {
    const connection = await opened(t, routing, a.way())
    await rows(connection, 'start transaction')
    t.match(connection, { inTransaction: true, inDoubt: true })
    await rows(connection, 'select * from notes where id = 1')
    t.equal(connection.inTransaction, true)
    await rows(connection, 'rollback')
    t.match(connection, { inTransaction: false, inDoubt: false })
    await rows(connection, 'set autocommit = 0')
    t.equal(connection.inDoubt, true, 'one that begins transactions by itself is not lent again')
  })

  t.test('after an error the server is asked: a procedure may fail and leave its transaction open', async t => {
    const connection = await opened(t, routing, a.way())
    await t.rejects(rows(connection, 'select * from nothing'))
    await connection.settling
    t.match(connection, { inDoubt: false, settling: undefined })
    t.equal(await refused(rows(connection, 'call half()')), 1644)
    t.equal(connection.inDoubt, true, 'until it has answered, nobody knows')
    await connection.settling
    t.match(connection, { inDoubt: true, inTransaction: true })
  })

  t.test('long, empty and prepared answers are read to their end', async t => {
    const connection = await opened(t, routing, a.way())
    const text = 'x'.repeat(300_000)
    t.same(await promised(connection, 'select ? as value', [text]), [{ value: text }])
    await rows(connection, 'update notes set id = id where id between 1 and 70000')
    await rows(connection, 'start transaction')
    const [prepared] = await clientOf(connection).promise().execute('select ? as value', ['7'])
    t.same(prepared, [{ value: '7' }])
    t.equal(connection.inTransaction, true)
    await rows(connection, 'commit')
    t.equal(connection.inDoubt, false)
  })

  t.test('closing stops what runs, and returns when the server has let it go', async t => {
    const connection = await routing.open(a.way())
    const running = t.rejects(rows(connection, 'select sleep(600)'))
    await sleep(20)
    t.equal(connection.inDoubt, true)
    await connection.close()
    await running
    await none(t, sessions)
  })

  t.test('so does closing one whose rows nobody reads', async t => {
    const connection = await routing.open(a.way())
    const stream = clientOf(connection).query('select repeat("x", 1000) from seq_1_to_1000000').stream()
    stream.on('error', () => {})
    await new Promise(resolve => stream.once('readable', resolve))
    await connection.close()
    await none(t, sessions)
  })
}

async function limits(t: Test, { routing, running, tenants }: MysqlServer) {
  const [a, b] = tenants as [MysqlTenant, MysqlTenant]
  const sessionsWithTransactions = async () =>
    Number((await running.root('select count(*) as n from information_schema.innodb_trx'))[0]?.['n'])

  const nobody = (tenant: MysqlTenant) =>
    eventually(
      () => running.root(`select info from information_schema.processlist where user = '${tenant.as.login}'`),
      sessions => sessions.length === 0
    )

  t.test('a tenant’s own limit is told apart from the server’s', async t => {
    await running.root(`alter user ${a.as.login} with max_user_connections 1`)
    const one = await opened(t, routing, a.way())
    await t.rejects(routing.open(a.way()), { code: 'SERVER_BUSY', data: { full: 'tenant' }, retryable: true })
    await opened(t, routing, b.way())
    const closing = t.rejects(rows(one, 'select sleep(600)'))
    await sleep(20)
    await one.close()
    await closing
    await running.root(`alter user ${a.as.login} with max_user_connections 20`)
  })

  t.test('statements are stopped also when all connections but one are busy, one after the other', async t => {
    await running.root(`alter user ${b.as.login} with max_user_connections 4`)
    const busy = [await routing.open(b.way()), await routing.open(b.way()), await routing.open(b.way())]
    const ended = busy.map(one => t.rejects(rows(one, 'select sleep(600)')))
    await sleep(20)
    await Promise.all(busy.map(one => one.close()))
    await Promise.all(ended)
    await nobody(b)
    await running.root(`alter user ${b.as.login} with max_user_connections 20`)
  })

  t.test('a statement is stopped as soon as there is room for who stops it', async t => {
    await running.root(`alter user ${b.as.login} with max_user_connections 2`)
    const [one, other] = [await routing.open(b.way()), await routing.open(b.way())]
    const stopped = t.rejects(rows(one, 'select sleep(600)'))
    await sleep(20)
    const closing = one.close()
    await sleep(100)
    await other.close()
    await Promise.all([closing, stopped])
    await nobody(b)
    await running.root(`alter user ${b.as.login} with max_user_connections 20`)
  })

  t.test('who leaves a transaction open and does nothing is put out: by the server, or else by the router', async t => {
    for (const kept of [true, false]) {
      const connection = await opened(t, routing, a.way({ idleInTransactionMs: 900 }))
      t.match(await rows(connection, 'select @@idle_transaction_timeout as s'), [{ s: 1 }])
      if (!kept) await rows(connection, 'set session idle_transaction_timeout = 0')
      const ended = new Promise<void>(resolve => connection.onEnd(resolve))
      await rows(connection, 'start transaction')
      await rows(connection, 'select count(*) from notes for update')
      t.equal(connection.inTransaction, true)
      await ended
      t.equal(connection.inDoubt, true)
      await none(t, sessionsWithTransactions)
    }
    const working = await opened(t, routing, a.way({ idleInTransactionMs: 300 }))
    await rows(working, 'set session idle_transaction_timeout = 0')
    await rows(working, 'start transaction')
    for (let turn = 0; turn < 15; turn += 1) await rows(working, 'do sleep(0.1)')
    t.equal(working.inDoubt, true, 'in a transaction')
    t.match(await rows(working, 'select 1 as one'), [{ one: 1 }], 'and who works in it is left alone')
    await rows(working, 'rollback')
  })

  t.test('a server that is full says so', async t => {
    await running.root('set global max_connections = 10')
    const held: RoutedConnection[] = []
    const fill = async () => {
      for (let open = 0; open < 20; open += 1) held.push(await routing.open(b.way()))
    }
    await t.rejects(fill(), { code: 'SERVER_BUSY', data: { full: 'server' }, retryable: true })
    for (const connection of held) await connection.close()
    await running.root('set global max_connections = 151')
  })
}

async function silence(t: Test, { routing, tenants }: MysqlServer) {
  const [a] = tenants as [MysqlTenant]
  const proxy = await proxyTo(a.way().address)
  t.teardown(() => proxy.close())
  const { host, tls } = a.way().address
  const way = a.way({ address: { host, port: proxy.port, tls }, connectTimeoutMs: 150 })

  t.test('is given up in time, and one that listens nowhere at once', async t => {
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

  t.test('a statement that it never answers is given up some time after the plan’s limit', async t => {
    const connection = await routing.open({ ...way, connectTimeoutMs: 10_000, statementTimeoutMs: 400 })
    t.teardown(() => connection.close())
    proxy.mode = 'silent'
    await t.rejects(rows(connection, 'select 1'), { code: 'ETIMEDOUT' })
    t.equal(connection.inDoubt, true)
    proxy.mode = 'pass'
    proxy.cut()
  })

  t.test('closing a connection that is cut off in the middle of a statement comes to an end', async t => {
    const connection = await routing.open({ ...way, connectTimeoutMs: 10_000 })
    const running = t.rejects(rows(connection, 'select sleep(600)'))
    await sleep(20)
    proxy.mode = 'silent'
    await connection.close()
    await running
    proxy.mode = 'pass'
    proxy.cut()
  })
}

async function tls(t: Test, { routing, running, tenants, sessions }: MysqlServer) {
  const [a] = tenants as [MysqlTenant]
  const folder = await mkdtemp(join(tmpdir(), 'saasctl-tls-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const ca = await certificate(folder)
  const { uid, gid } = await stat(running.dataDir)
  for (const name of ['', 'server.crt', 'server.key']) await chown(join(folder, name), uid, gid)
  const { host, port } = a.way().address
  const way = a.way({ address: { host, port, tls: { mode: 'verify-full', ca } } })

  t.test('a server that does not speak it is not told who we are', async t => {
    await t.rejects(routing.open(way), { code: 'SERVER_DENIED' })
  })

  t.test('the session is encrypted, and so is the one that stops it', async t => {
    await running.restart([`--ssl-cert=${folder}/server.crt`, `--ssl-key=${folder}/server.key`])
    await running.root(`alter user ${a.as.login} require ssl`)
    const connection = await opened(t, routing, way)
    const [row] = await rows(connection, `show session status like 'Ssl_cipher'`)
    t.ok(row?.['Value'])
    const stopped = t.rejects(rows(connection, 'select sleep(600)'))
    await sleep(20)
    await connection.close()
    await stopped
    await none(t, sessions)
  })

  t.test('a server that nobody vouches for, or that is another one, is not told who we are', async t => {
    const elsewhere = { host: 'localhost', port, tls: { mode: 'verify-full', ca } } as const
    for (const turn of ['at first', 'and with what the first session left'])
      await t.rejects(routing.open(a.way({ address: elsewhere })), { code: 'SERVER_DENIED' }, turn)
    await t.rejects(routing.open(a.way({ address: { host, port, tls: { mode: 'verify-full' } } })), {
      code: 'SERVER_DENIED'
    })
    await t.rejects(routing.open(a.way({ address: { host: 'db.example.com', port, tls: { mode: 'disable' } } })), {
      code: 'INVALID_INPUT'
    })
  })
}

async function rogue(t: Test) {
  const LOCAL_FILES = 0x80
  const QUERY_ATTRIBUTES = 0x8000000
  const password = 'do-not-tell'
  const packet = (number: number, ...parts: Array<Buffer | string>) => {
    const body = Buffer.concat(parts.map(part => Buffer.from(part as string, 'latin1')))
    const head = Buffer.from([body.length & 255, body.length >> 8, 0, number])
    return Buffer.concat([head, body])
  }
  // Protocol 4.1 with plugins, and without TLS.
  const greeting = (plugin: string) =>
    packet(
      0,
      '\x0a8.0.99\0\x01\0\0\0saltsalt\0\xff\xf7\x2d\x02\0\xff\x81\x15',
      '\0'.repeat(10),
      `saltsaltsalt\0${plugin}\0`
    )
  const switchTo = (plugin: string) => packet(2, `\xfe${plugin}\0saltsaltsaltsaltsalt\0`)
  const wants: Record<string, { first: Buffer; next: Buffer; tls?: boolean }> = {
    'asks for the password in the clear at once': {
      first: greeting('mysql_clear_password'),
      next: packet(2, '\xff\x15\x04#28000no')
    },
    'asks for it in the clear later': {
      first: greeting('mysql_native_password'),
      next: switchTo('mysql_clear_password')
    },
    'asks for it under a key of its own': {
      first: greeting('mysql_native_password'),
      next: switchTo('sha256_password')
    },
    'asks for a proof that nobody knows': { first: greeting('mysql_native_password'), next: switchTo('dialog') },
    'does without TLS where it was agreed': {
      first: greeting('mysql_native_password'),
      next: packet(2, '\0'),
      tls: true
    },
    'answers with nonsense': { first: greeting('mysql_native_password'), next: packet(2, '\x77nonsense') }
  }
  const wayTo = (port: number, tls = false): RoutedWay => ({
    address: { host: '127.0.0.1', port, tls: { mode: tls ? 'verify-full' : 'disable' } },
    database: 'tenant',
    databaseId: uuidv7(),
    as: { login: 'app', password: new Secret(password) },
    loginVersion: 1,
    applicationName: 'app',
    statementTimeoutMs: null,
    connectTimeoutMs: 1_000
  })

  t.test('that wants the password proved anew is let ask, and the next login leaves room for it at once', async t => {
    const logins: string[] = []
    const server = createServer(socket => {
      let turn = 0
      socket.on('error', () => {})
      socket.on('data', data => {
        const login = data.readUIntLE(0, 3) + 4
        turn += 1
        if (turn === 1) {
          const flags = data.readUInt32LE(4)
          t.equal(flags & QUERY_ATTRIBUTES, 0, 'statements are sent in the one form that every server reads')
          t.equal(flags & LOCAL_FILES, 0, 'and no server is told that it may ask for files')
          logins.push(data.length > login ? 'hasty' : 'patient')
          socket.write(switchTo('mysql_native_password'))
          if (data.length > login) socket.end(packet(3, '\xff\x84\x04#08S01Got packets out of order'))
        } else {
          // The proof is done, and then the set-up.
          socket.write(packet(turn === 2 ? 4 : 1, '\0\0\0\x02\0\0\0'))
        }
      })
      socket.write(greeting('mysql_native_password'))
    })
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    t.teardown(() => server.close())
    const way = wayTo((server.address() as AddressInfo).port)
    for (const _ of ['first', 'second']) {
      const connection = await new MysqlRouting().open(way)
      t.equal(connection.inDoubt, false)
      clientOf(connection).destroy()
      await connection.close()
    }
    t.same(logins, ['hasty', 'patient', 'patient'])
  })

  for (const [what, { first, next, tls }] of Object.entries(wants)) {
    t.test(`that ${what} is refused and learns nothing`, async t => {
      let heard = ''
      const sockets = new Set<Socket>()
      const server = createServer(socket => {
        sockets.add(socket)
        socket.on('error', () => {})
        socket.on('data', data => {
          heard += data.toString('latin1')
          socket.write(next)
        })
        socket.write(first)
      })
      await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
      t.teardown(() => {
        for (const socket of sockets) socket.destroy()
        server.close()
      })
      const { port } = server.address() as AddressInfo
      const way = wayTo(port, tls)
      await t.rejects(new MysqlRouting().open(way), { name: 'SaasctlError' })
      t.notOk(heard.includes(password))
      if (tls) t.notOk(heard.includes('app'), 'not even the name')
    })
  }
}

function clientOf(connection: RoutedConnection): Connection {
  return connection.driver as Connection
}

function rows(connection: RoutedConnection, sql: string): Promise<Array<Record<string, unknown>>> {
  return promised(connection, sql, [])
}

async function promised(connection: RoutedConnection, sql: string, values: unknown[]) {
  const [found] = await clientOf(connection).promise().query(sql, values)
  return found as Array<Record<string, unknown>>
}

async function opened(t: Test, routing: MysqlRouting, way: RoutedWay): Promise<RoutedConnection> {
  const connection = await routing.open(way)
  t.teardown(() => connection.close())
  t.equal(connection.inDoubt, false, 'is let in')
  return connection
}

/** The server counts a session for a moment after its socket is closed. */
async function none(t: Test, sessions: () => Promise<number>) {
  t.equal(await eventually(sessions, count => count === 0), 0, 'the server has let it go')
}

async function certificate(folder: string): Promise<string> {
  const files = ['-keyout', join(folder, 'server.key'), '-out', join(folder, 'server.crt')]
  const subject = ['-subj', '/CN=server', '-addext', 'subjectAltName=IP:127.0.0.1']
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2']
  await promisify(execFile)('openssl', ['req', '-x509', ...kind, ...files, ...subject])
  return readFile(join(folder, 'server.crt'), 'utf8')
}

/** What the server itself answered. */
async function refused(answer: Promise<unknown>): Promise<number | undefined> {
  return answer.then(
    () => undefined,
    (error: { errno?: number }) => error.errno
  )
}
