import { type AddressInfo, createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Connection } from 'mysql2'
import t, { type Test } from 'tap'
import type { DataSource, QueryRunner } from 'typeorm'
import { identityOf } from '../../src/engines/mysql/identity.js'
import type { RoutedConnection, RoutedWay } from '../../src/engines/routing.js'
import { uuidv7 } from '../../src/names.js'
import type { TenantPool } from '../../src/routing/tenant-pool.js'
import { Secret } from '../../src/secret.js'
import { skipWithoutMysql } from '../support/mariadb-server.js'
import { type MysqlServer, type MysqlTenant, mysqlServer, waysOf } from '../support/routed-mysql.js'

const notes = 'create table notes (id int primary key auto_increment, body varchar(60))'

if (!(await skipWithoutMysql(t))) {
  const server = await mysqlServer(3, [notes])
  t.teardown(() => server.stop())
  await t.test('what is left of the former tenant', t => nothingLeft(t, server))
  await t.test('what stands in the way', t => inTheWay(t, server))
  await t.test('in one message', t => inOneMessage(t, server))
  await t.test('in a budget', t => inBudget(t, server))
  await t.test('many tenants on few connections', manyTenants)
}

async function nothingLeft(t: Test, { routing, tenants }: MysqlServer) {
  const [a, b] = tenants as [MysqlTenant, MysqlTenant]

  t.test('no variable, setting, table, lock, statement or word of its session', async t => {
    const connection = await opened(t, routing.open(a.way({ statementTimeoutMs: 60_000 })))
    const client = clientOf(connection)
    const session = client.threadId
    for (const sql of [
      'set @mine = 42',
      "set session sql_mode = '', sort_buffer_size = 400000",
      'create temporary table mine (id int) select 1 as id',
      "select get_lock('mine', 0)",
      "prepare mine from 'select 1'",
      'set profiling_history_size = 50, profiling = 1',
      "set session optimizer_trace = 'enabled=on'",
      "select 'a secret of the first'",
      'insert into notes (body) values (1), (2), (3)',
      'select sql_calc_found_rows * from notes limit 1',
      "select cast('a secret' as int)",
      'handler notes open'
    ])
      await rows(connection, sql)
    await client.promise().execute('select * from notes where id = ?', ['1'])

    t.equal(await routing.repoint(connection, b.way()), connection)
    t.equal(client.threadId, session)
    t.same(await rows(connection, 'show warnings'), [])
    const [row] = await rows(
      connection,
      `select current_user() as login, database() as db, @mine as mine, is_used_lock('mine') as locked,
        last_insert_id() as id, @@sort_buffer_size as buffer, @@max_statement_time as t, @@profiling as profiling,
        @@in_transaction as open, @@optimizer_trace as trace`
    )
    t.match(row, {
      login: `${b.as.login}@%`,
      db: b.database,
      mine: null,
      locked: null,
      t: 0,
      profiling: 0,
      open: 0,
      trace: 'enabled=off'
    })
    t.equal(String(row?.['id']), '0')
    t.not(row?.['buffer'], 400_000)
    t.match((await rows(connection, 'select @@sql_mode as modes'))[0], { modes: /STRICT_TRANS_TABLES/ })
    const words = JSON.stringify([
      await rows(connection, 'show profiles'),
      await rows(connection, 'select * from information_schema.optimizer_trace'),
      await rows(connection, 'select * from information_schema.profiling')
    ])
    t.notOk(words.includes('secret') || words.includes('notes'), 'also not in what the server keeps for looking back')
    await t.rejects(rows(connection, 'select * from mine'), { message: /doesn't exist/ })
    await t.rejects(rows(connection, 'execute mine'), { message: /Unknown prepared statement/ })
    await t.rejects(rows(connection, 'handler notes read first'), { message: /Unknown table/ })
    const [prepared] = await client.promise().execute('select * from notes where id = ?', ['1'])
    t.same(prepared, [], 'a statement of the same text is prepared for the tenant’s own table')
    t.equal(await routing.repoint(connection, a.way()), connection, 'and back again')
    await rows(connection, 'delete from notes')
  })

  t.test('nor may anybody get at it by what was kept from before', async t => {
    const template = await routing.template({ entities: [] })
    const connection = await opened(t, routing.open(a.way()))
    const source = { acquire: () => Promise.resolve(connection), release: () => {}, ended: undefined }
    const runner: QueryRunner = routing.dataSource(template, a.database, source).createQueryRunner()
    const kept = await runner.connect()
    const promised = kept.promise()
    t.match(await promised.query('select database() as db'), [[{ db: a.database }]])
    await runner.release()
    await routing.repoint(connection, b.way())
    await t.rejects(runner.query('select 1'))
    await t.rejects(promised.query('select * from notes'))
    await t.rejects(promised.execute('select * from notes'))
    t.throws(() => kept.query('select * from notes'))
    t.throws(() => kept.execute('select * from notes'))
    kept.release()
    t.match(await rows(connection, 'select database() as db'), [{ db: b.database }])
  })

  t.test('one that stands in a transaction, or still runs, is closed and another one opened', async t => {
    for (const sql of ['start transaction', 'do sleep(600)']) {
      const connection = await opened(t, routing.open(a.way()))
      const ran = rows(connection, sql).catch(() => undefined)
      await Promise.race([ran, sleep(20)])
      const other = await opened(t, routing.repoint(connection, b.way()))
      t.not(other, connection, sql)
      await ran
      t.match(await rows(other, 'select database() as db'), [{ db: b.database }])
    }
  })
}

async function inTheWay(t: Test, { routing, running, tenants, sessions }: MysqlServer) {
  const [a, b] = tenants as [MysqlTenant, MysqlTenant]
  const as = (password: string) => ({ login: b.as.login, password: new Secret(password) })
  const refusals: Array<
    [what: string, error: { code: string; [more: string]: unknown }, way: RoutedWay, before?: string, after?: string]
  > = [
    ['a wrong password', { code: 'SERVER_DENIED' }, b.way({ as: as('wrong') })],
    ['no password', { code: 'SERVER_FAILED' }, b.way({ as: as('') })],
    ['another tenant’s database', { code: 'SERVER_DENIED' }, b.way({ database: a.database })],
    ['another identity', { code: 'IDENTITY_WRONG', message: new RegExp(b.id) }, b.way({ databaseId: uuidv7() })],
    [
      'a locked account',
      { code: 'SERVER_DENIED' },
      b.way(),
      `alter user ${b.as.login} account lock`,
      `alter user ${b.as.login} account unlock`
    ],
    [
      'a limit that is reached',
      { code: 'SERVER_BUSY', data: { full: 'tenant' } },
      b.way(),
      `alter user ${b.as.login} with max_user_connections 1`,
      `alter user ${b.as.login} with max_user_connections 20`
    ]
  ]
  for (const [what, error, way, before, after] of refusals) {
    t.test(`${what}: refused, and the connection is nobody’s`, async t => {
      if (before) await running.root(before)
      const holder = what.startsWith('a limit') ? await routing.open(b.way()) : undefined
      const connection = await routing.open(a.way())
      await t.rejects(routing.repoint(connection, way), error)
      t.equal(connection.inDoubt, true)
      await t.rejects(rows(connection, 'select 1'))
      await holder?.close()
      await none(t, sessions)
      if (after) await running.root(after)
    })
  }

  t.test('one that was ended while it was idle is opened anew', async t => {
    const connection = await routing.open(a.way())
    await running.root(`kill ${clientOf(connection).threadId}`)
    const other = await opened(t, routing.repoint(connection, b.way()))
    t.not(other, connection)
    t.match(await rows(other, 'select database() as db'), [{ db: b.database }])
  })

  t.test('one that is ended in the middle is opened anew', async t => {
    const holder = await routing.open(b.way())
    await rows(holder, `lock tables ${identityOf(b.database)} write`)
    const connection = await routing.open(a.way())
    const session = clientOf(connection).threadId
    const pending = routing.repoint(connection, b.way())
    await until(async () => {
      const [row] = await running.root(`select state from information_schema.processlist where id = ${session}`)
      return /metadata lock/.test(String(row?.['state']))
    })
    await running.root(`kill ${session}`)
    await holder.close()
    const other = await opened(t, pending)
    t.match(await rows(other, 'select database() as db'), [{ db: b.database }])
    t.not(clientOf(other).threadId, session)
  })

  t.test('one that takes too long is given up, and its session ended', async t => {
    const holder = await routing.open(b.way())
    await rows(holder, `lock tables ${identityOf(b.database)} write`)
    const connection = await routing.open(a.way())
    await t.rejects(routing.repoint(connection, b.way({ connectTimeoutMs: 100 })), { code: 'SERVER_UNREACHABLE' })
    await holder.close()
    await none(t, sessions)
  })

  t.test('one that leads to where the server was before is closed', async t => {
    const connection = await routing.open(a.way())
    const { port, tls } = b.way().address
    const other = await opened(t, routing.repoint(connection, b.way({ address: { host: 'localhost', port, tls } })))
    t.not(other, connection)
    t.equal(connection.inDoubt, true)
  })
}

async function inOneMessage(t: Test, { routing, tenants }: MysqlServer) {
  const [a, b] = tenants as [MysqlTenant, MysqlTenant]

  t.test('from the second time on, the server is asked once and answers once', async t => {
    const connection = await opened(t, routing.open(a.way()))
    const { stream } = clientOf(connection) as unknown as { stream: { write(...all: unknown[]): unknown } }
    const messages: number[] = []
    const { write } = stream
    stream.write = (...all) => {
      messages.push(all.length)
      return write.apply(stream, all)
    }
    const counts: number[] = []
    for (const tenant of [b, a, b]) {
      messages.length = 0
      t.equal(await routing.repoint(connection, tenant.way()), connection)
      counts.push(messages.length)
      t.match(await rows(connection, 'select current_user() as login'), [{ login: `${tenant.as.login}@%` }])
    }
    t.same(counts, [2, 1, 1])
    await t.rejects(routing.repoint(connection, a.way({ databaseId: uuidv7() })), { code: 'IDENTITY_WRONG' })
    t.equal(connection.inDoubt, true, 'also then, another identity is seen')
  })

  t.test('a wrong password is refused also when it was sent before it was asked for', async t => {
    const connection = await routing.open(a.way())
    await routing.repoint(connection, b.way())
    const as = { login: a.as.login, password: new Secret('wrong') }
    await t.rejects(routing.repoint(connection, a.way({ as })), { code: 'SERVER_DENIED' })
    t.equal(connection.inDoubt, true)
    const other = await opened(t, routing.open(a.way()))
    await routing.repoint(other, b.way())
    t.equal(await routing.repoint(other, a.way()), other, 'and the next one is as quick as before')
  })

  t.test(
    'a server that asks otherwise than before is not believed: the connection is closed, and another opened',
    async t => {
      const said: string[] = []
      const same = 'saltsaltsaltsaltsalt'
      const asks = [same, same, 'anothersaltanothersa']
      const packet = (number: number, body: string) =>
        Buffer.concat([Buffer.from([body.length & 255, body.length >> 8, 0, number]), Buffer.from(body, 'latin1')])
      const ok = (number: number) => packet(number, '\0\0\0\x02\0\0\0')
      const rogue = createServer(socket => {
        said.push('greeting')
        const fields = `${'\0'.repeat(10)}saltsaltsalt\0mysql_native_password\0`
        socket.write(packet(0, `\x0a8.0.99\0\x01\0\0\0saltsalt\0\xff\xf7\x2d\x02\0\xff\x81\x15${fields}`))
        let proven = 2
        socket.on('error', () => {})
        socket.on('data', data => {
          const [first, more] = [data.readUIntLE(0, 3) + 4, data.length]
          const changes = data[4] === 0x11 && data[3] === 0
          if (changes) socket.write(packet(1, `\xfemysql_native_password\0${asks.shift()}\0`))
          if (changes) said.push(more > first ? 'at once' : 'asked first')
          if (changes) proven = 3
          if (more > first) socket.write(Buffer.concat([ok(proven), ok(1)]))
          else if (data[4] === 3) socket.write(ok(1))
          else if (!changes) socket.write(ok(proven))
        })
      })
      await new Promise<void>(resolve => rogue.listen(0, '127.0.0.1', resolve))
      t.teardown(() => rogue.close())
      const { port } = rogue.address() as AddressInfo
      const way = (tenant: MysqlTenant) =>
        tenant.way({ address: { host: '127.0.0.1', port, tls: { mode: 'disable' } } })
      const connection = await routing.open(way(a))
      t.equal(await routing.repoint(connection, way(b)), connection)
      t.equal(await routing.repoint(connection, way(a)), connection)
      const other = await routing.repoint(connection, way(b))
      t.not(other, connection)
      t.equal(connection.inDoubt, true)
      t.same(said, ['greeting', 'asked first', 'at once', 'at once', 'greeting'])
      clientOf(other).destroy()
      await other.close()
    }
  )
}

async function inBudget(t: Test, server: MysqlServer) {
  const { routing, tenants, running } = server
  const template = await routing.template({ entities: [] })
  const using = async <T>(pool: TenantPool, tenant: MysqlTenant, act: (db: DataSource) => Promise<T>): Promise<T> => {
    const lease = pool.lease()
    try {
      return await act(routing.dataSource(template, tenant.database, lease))
    } finally {
      lease.end()
    }
  }
  const where = (db: DataSource) => db.query('select database() as db, connection_id() as id').then(([row]) => row)

  t.test('a tenant’s idle connection goes to the next tenant as it stands, and back', async t => {
    const { budget, pools } = server.budget({ max: 1 })
    t.teardown(() => budget.shutdown(0))
    const ids = new Set<number>()
    for (const turn of [0, 1, 0, 2, 1]) {
      const [pool, tenant] = [pools[turn] as TenantPool, tenants[turn] as MysqlTenant]
      const { db, id } = await using(pool, tenant, where)
      t.equal(db, tenant.database)
      ids.add(id)
    }
    t.equal(ids.size, 1)
    t.match(budget.statistics, { opens: 1, repoints: 4, evictions: 4, failures: 0, total: 1, idle: 1 })
  })

  t.test('while there is room, everybody keeps their own', async t => {
    const { budget, pools } = server.budget({ max: 3 })
    t.teardown(() => budget.shutdown(0))
    for (const turn of [0, 1, 2, 0, 1, 2]) await using(pools[turn] as TenantPool, tenants[turn] as MysqlTenant, where)
    t.match(budget.statistics, { opens: 3, repoints: 0, idle: 3 })
  })

  t.test('who cannot get in hears why, and the others go on', async t => {
    const [a, b] = tenants as [MysqlTenant, MysqlTenant]
    const { budget, pools } = server.budget({ max: 1 })
    t.teardown(() => budget.shutdown(0))
    await using(pools[0] as TenantPool, a, where)
    await running.root(`alter user ${b.as.login} account lock`)
    await t.rejects(using(pools[1] as TenantPool, b, where), { code: 'SERVER_DENIED' })
    t.match(budget.statistics, { total: 0, failures: 1, repoints: 1 })
    await using(pools[0] as TenantPool, a, where)
    await t.rejects(using(pools[1] as TenantPool, b, where), { code: 'SERVER_DENIED' })
    t.match(
      budget.statistics,
      { failures: 2, repoints: 1 },
      'a login that was refused is not tried on another’s connection'
    )
    t.match(await using(pools[0] as TenantPool, a, where), { db: a.database })
    await running.root(`alter user ${b.as.login} account unlock`)
    t.match(await using(pools[1] as TenantPool, b, where), { db: b.database })
  })

  t.test('what is refused before the engine is asked costs the connection, and nothing is left open', async t => {
    const [a] = tenants as [MysqlTenant]
    const { budget } = server.budget({ max: 1 })
    t.teardown(() => budget.shutdown(0))
    const first = budget.tenant({ name: 'first', connections: 1, ...waysOf(routing, a) })
    const repoint = () => Promise.reject(new Error('the breaker is open'))
    const second = budget.tenant({ name: 'second', connections: 1, open: () => routing.open(a.way()), repoint })
    await using(first, a, where)
    await t.rejects(using(second, a, where), { message: 'the breaker is open' })
    await none(t, server.sessions)
    t.equal(budget.statistics.total, 0)
  })

  t.test('a smaller share is kept to: what is too much is closed and not handed on', async t => {
    const { budget, pools } = server.budget({ max: 2 })
    t.teardown(() => budget.shutdown(0))
    const [a, b, c] = tenants as [MysqlTenant, MysqlTenant, MysqlTenant]
    await Promise.all([using(pools[0] as TenantPool, a, where), using(pools[1] as TenantPool, b, where)])
    const lowered = budget.resize(1)
    t.match(await using(pools[2] as TenantPool, c, where), { db: c.database })
    await lowered
    t.equal(budget.statistics.total, 1)
  })

  t.test('one that has lived its time is closed, whoever’s it is by then', async t => {
    const { budget, pools } = server.budget({ max: 1, lifetimeMs: 1_000 })
    t.teardown(() => budget.shutdown(0))
    const first = await using(pools[0] as TenantPool, tenants[0] as MysqlTenant, where)
    const second = await using(pools[1] as TenantPool, tenants[1] as MysqlTenant, where)
    t.equal(second.id, first.id)
    await sleep(1_010)
    const third = await using(pools[0] as TenantPool, tenants[0] as MysqlTenant, where)
    t.not(third.id, first.id)
  })
}

async function manyTenants(t: Test) {
  const server = await mysqlServer(200, [notes])
  t.teardown(() => server.stop())
  const { routing, tenants } = server
  const template = await routing.template({ entities: [] })
  const { budget, pools } = server.budget({ max: 8, acquireMs: 30_000, queue: 10_000 })
  const crossings: string[] = []
  let most = 0
  const request = async (turn: number) => {
    const [pool, tenant] = [pools[turn] as TenantPool, tenants[turn] as MysqlTenant]
    const lease = pool.lease()
    try {
      const db = routing.dataSource(template, tenant.database, lease)
      await db.transaction(async manager => {
        await manager.query('insert into notes (body) values (?)', [tenant.id])
        const [row] = await manager.query(
          `select database() as db, (select max(database_id) from ${identityOf(tenant.database)}) as id, @mine as mine`
        )
        await manager.query('set @mine = ?', [tenant.id])
        if (row.db !== tenant.database || row.id !== tenant.id) crossings.push(`${tenant.id} saw ${row.id}`)
        if (row.mine !== null && row.mine !== tenant.id) crossings.push(`${tenant.id} saw a variable of ${row.mine}`)
      })
    } finally {
      lease.end()
    }
    most = Math.max(most, budget.statistics.total)
  }
  t.test('none sees anything of another, and the server never sees more of us than agreed', async t => {
    let next = 0
    await Promise.all(
      Array.from({ length: 32 }, async () => {
        for (let turn = next++; turn < 2_000; turn = next++) await request((turn * 37) % 200)
      })
    )
    t.same(crossings, [])
    t.equal(most <= 8, true)
    const { opens, repoints, failures } = budget.statistics
    t.equal(failures, 0)
    t.ok(opens <= 16 && repoints > 1_000, `${opens} opened, ${repoints} handed on`)
    await budget.shutdown(1_000)
    const counts = await server.running.root(
      tenants
        .map(({ database, id }) => `select count(*) as n, sum(body = '${id}') as own from ${database}.notes`)
        .join(' union all ')
    )
    t.equal(counts.length, 200)
    t.same(
      counts.filter(({ n, own }) => n !== 10 || Number(own) !== 10),
      []
    )
  })
}

function clientOf(connection: RoutedConnection): Connection {
  return connection.driver as Connection
}

async function rows(connection: RoutedConnection, sql: string): Promise<Array<Record<string, unknown>>> {
  const [found] = await clientOf(connection).promise().query(sql)
  return found as Array<Record<string, unknown>>
}

async function opened(t: Test, opening: Promise<RoutedConnection>): Promise<RoutedConnection> {
  const connection = await opening
  t.teardown(() => connection.close())
  return connection
}

async function until(there: () => Promise<boolean>): Promise<void> {
  for (const patience = performance.now() + 30_000; performance.now() < patience && !(await there()); ) await sleep(5)
}

/** The server counts a session for a moment after its socket is closed. */
async function none(t: Test, sessions: () => Promise<number>) {
  await until(async () => (await sessions()) === 0)
  t.equal(await sessions(), 0, 'the server has let it go')
}
