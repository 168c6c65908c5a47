import { createHash } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { createServer, connect as dial, type Server } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { type LoginRole, loginRoles } from '../../src/engines/engine.js'
import { connect } from '../../src/engines/mysql/connect.js'
import { recordsOf } from '../../src/engines/mysql/names.js'
import { Secret } from '../../src/secret.js'
import { mysqlBinaries, skipWithoutMysql } from '../support/mariadb-server.js'
import { type RunningMysql, startMysqlEngine } from '../support/mysql-engine.js'
import { drop, fence, limits, make, type Planned } from '../support/real-engines.js'

/**
 * The M rows of SECURITY.md. Tenant B attacks tenant A, the server and the control plane. What cannot be prevented is
 * pinned as it is.
 */
if (!(await skipWithoutMysql(t))) {
  for (const binaries of await mysqlBinaries()) {
    await t.test(`${binaries.flavour} ${binaries.version}`, async t => {
      const running = await startMysqlEngine([], binaries)
      t.teardown(() => running.stop())
      const a = await make(running)
      const b = await make(running)
      for (const tenant of [a, b]) {
        await running.query(
          tenant.names.database,
          tenant.as('owner'),
          'create table notes (id int auto_increment primary key, body text not null)'
        )
      }
      await running.query(a.names.database, a.as('app_a'), `insert into notes (body) values ('canary')`)
      const scene: Scene = { running, a, b }
      await t.test('every login at every database', t => matrix(t, scene))
      await t.test('wildcards', t => wildcards(t, scene))
      await t.test('names that were there before', t => before(t, scene))
      await t.test('what others may see', t => visible(t, scene))
      await t.test('locks', t => locks(t, scene))
      await t.test('limits', t => bounds(t, scene))
      await t.test('refused statements', t => refused(t, scene))
      await t.test('files', t => files(t, scene))
      await t.test('sessions that are there already', t => sessions(t, scene))
    })
  }
}

interface Scene {
  running: RunningMysql
  a: Planned
  b: Planned
}

/** Who gets in where, and what each verb does there: also by a name in front, from inside one's own database. */
async function matrix(t: Test, { running, a, b }: Scene) {
  const verbs = (database: string) => [
    `select 1 from \`${database}\`.notes limit 1`,
    `insert into \`${database}\`.notes (body) values ('x')`,
    `update \`${database}\`.notes set body = 'x' where false`,
    `delete from \`${database}\`.notes where body = 'x'`,
    `create table \`${database}\`.stolen (id int)`,
    `drop table \`${database}\`.stolen`
  ]
  const may: Record<LoginRole, number> = { owner: 6, app_a: 4, app_b: 4, readonly: 1 }
  for (const login of [a, b]) {
    for (const role of loginRoles) {
      for (const target of [a, b]) {
        const name = `${role} of ${login === a ? 'A' : 'B'} at ${target === a ? 'A' : 'B'}`
        let done = 0
        for (const verb of verbs(target.names.database)) {
          await running.query(login.names.database, login.as(role), verb).then(
            () => (done += 1),
            () => undefined
          )
        }
        t.equal(done, login === target ? may[role] : 0, name)
      }
      const others = [a, b]
        .filter(other => other !== login)
        .flatMap(({ names }) => [names.database, recordsOf(names.database)])
      for (const database of ['mysql', 'sys', 'test', ...others]) {
        await t.rejects(running.query(database, login.as(role), 'select 1'), `${role} at ${database}`)
      }
    }
  }
}

/** M1, M2 */
async function wildcards(t: Test, { running, a, b }: Scene) {
  t.test('M1: no name of ours has a character that GRANT takes for any other', async t => {
    const { database, logins } = a.names
    for (const name of [database, recordsOf(database), ...Object.values(logins)]) {
      t.match(name, /^[a-z0-9]+$/)
      t.ok(name.length <= 32, 'as MySQL allows a login')
    }
  })

  t.test('M1: a right on one database opens none whose name differs in one character', async t => {
    const near = `${b.names.database.slice(0, -1)}${b.names.database.endsWith('0') ? '1' : '0'}`
    await running.admin(`create database ${near}; create table ${near}.secrets (id int)`)
    t.teardown(() => running.admin(`drop database ${near}`))
    for (const role of loginRoles) {
      await t.rejects(running.query(b.names.database, b.as(role), `select * from ${near}.secrets`), role)
    }
  })

  t.test('M1, M2: rights on patterns and logins without a name are found, and the fix mends them', async t => {
    await running.admin(`
      create user ''@'localhost'; create user other@'%' identified by 'somebody-elses';
      grant select on \`t%\`.* to other@'%'; grant select on \`test\\_%\`.* to ''@'localhost'`)
    t.teardown(() => running.admin(`drop user if exists ''@'localhost', other@'%'`))
    t.match(
      await running.query(
        a.names.database,
        { login: 'other', password: new Secret('somebody-elses') },
        'select body from notes'
      ),
      [{ body: 'canary' }]
    )
    const found = (await running.engine.check(running.access)).filter(({ level }) => level !== 'ok')
    t.match(
      found.filter(({ code }) => code.startsWith('doors.')),
      [
        { level: 'error', code: 'doors.anonymous', fix: `DROP USER ''@'localhost';` },
        { level: 'error', code: 'doors.wildcards', message: /"other".*those of tenants/ },
        { level: 'warning', code: 'doors.wildcards', message: /^Everybody/ }
      ]
    )
    for (const { fix, code } of found) if (fix && code.startsWith('doors.')) await running.admin(fix)
    t.strictSame(
      (await running.engine.check(running.access)).filter(
        ({ level, code }) => level !== 'ok' && code.startsWith('doors.')
      ),
      []
    )
    await t.rejects(
      running.query(a.names.database, { login: 'other', password: new Secret('somebody-elses') }, 'select 1')
    )
  })
}

/** M3 */
async function before(t: Test, { running }: Scene) {
  t.test('M3: whoever had rights to a dropped database has none to the next one of its name', async t => {
    const planned = await make(running)
    const session = await running.engine.enter(running.access, fence())
    t.teardown(() => drop(running, planned))
    t.teardown(() => session.end())
    await session.dropDatabase(planned.names)
    await running.admin(`create database ${planned.names.database}; create table ${planned.names.database}.x (id int)`)
    for (const role of loginRoles) {
      await t.rejects(running.query(planned.names.database, planned.as(role), 'select * from x'), role)
    }
    t.strictSame(
      await running.admin(`select * from mysql.db where Db like '${planned.names.database}%'`),
      [],
      'the server keeps no right to it'
    )
    t.strictSame(await running.admin(`select * from mysql.tables_priv where Db like '${planned.names.database}%'`), [])
  })
}

/** M4, M5 */
async function visible(t: Test, { running, a, b }: Scene) {
  const as = (role: LoginRole, sql: string) => running.query(b.names.database, b.as(role), sql)

  t.test('M4: a tenant sees its own databases, sessions and login, and nobody else’s', async t => {
    const guest = await running.hold(a.names.database, a.as('app_a'))
    t.teardown(() => guest.close())
    for (const role of loginRoles) {
      const databases = (await as(role, 'show databases')).map(row => row['Database'])
      t.notOk(databases.includes(a.names.database), role)
      t.strictSame(databases.filter(name => name !== 'information_schema').sort(), [
        b.names.database,
        recordsOf(b.names.database)
      ])
      const users = await as(role, 'select distinct user from information_schema.processlist')
      t.strictSame(
        users.map(row => row['user'] ?? row['USER']),
        [b.names.logins[role]]
      )
      await t.rejects(as(role, 'select * from mysql.user'), `${role} at mysql.user`)
      await t.rejects(as(role, 'select * from mysql.db'))
      await t.rejects(as(role, `show grants for '${a.names.logins.app_a}'@'%'`))
      const tables = await as(role, `select table_schema from information_schema.tables where table_name = 'notes'`)
      t.equal(tables.length, 1, 'of all tables, its own')
    }
  })

  t.test('M5: the server’s own figures are visible to everybody', async t => {
    t.match(await as('readonly', `show global variables like 'version'`), [{ Variable_name: 'version' }])
    t.match(await as('readonly', `show global status like 'Threads_connected'`), [{ Value: /^\d+$/ }])
  })
}

/** M6 */
async function locks(t: Test, { running, a, b }: Scene) {
  const { engine, access } = running

  t.test('M6: a tenant that holds the control plane’s lock loses its session, and the operation goes on', async t => {
    const lock = a.id
    // The names are no secret to whoever reads this program: B takes each that A's operations could need.
    const name = `saasctl/lock/${createHash('sha256').update(lock).digest('hex').slice(0, 48)}`
    const guest = await running.hold(b.names.database, b.as('app_a'))
    t.match(await guest.query(`select get_lock('${name}', 0) as got`), [{ got: 1 }])
    const session = await engine.enter(access, fence(lock))
    await guest.ended
    await session.end()
  })

  t.test('M6: another operation of the control plane is waited for and not ended', async t => {
    const holder = await engine.enter(access, fence('held'))
    t.teardown(() => holder.end())
    let entered = false
    const second = engine.enter(access, fence('held')).then(session => {
      entered = true
      return session
    })
    await holder.setLimits(a.names, limits)
    t.equal(entered, false)
    await holder.end()
    await (await second).end()
  })
}

/** M7, M8 */
async function bounds(t: Test, { running, b }: Scene) {
  t.test('M7: a login sets its time limit aside for its session, and cannot for the next one', async t => {
    if (running.server.flavour !== 'mariadb') return t.pass('MySQL has no time limit for a login')
    const session = await running.engine.enter(running.access, fence())
    t.teardown(() => session.end())
    await session.setLimits(b.names, { ...limits, statementTimeoutMs: 400 })
    const guest = await running.hold(b.names.database, b.as('app_a'))
    t.teardown(() => guest.close())
    await t.rejects(
      guest.query(
        'select count(*) from information_schema.collations a, information_schema.collations b, information_schema.collations c'
      ),
      { message: /max_statement_time/ }
    )
    await guest.query('set session max_statement_time = 0')
    t.match(await guest.query('select @@session.max_statement_time as seconds'), [{ seconds: 0 }])
    await t.rejects(guest.query('set global max_statement_time = 0'))
    t.match(await running.query(b.names.database, b.as('app_a'), 'select @@session.max_statement_time as seconds'), [
      { seconds: 0.4 }
    ])
    await session.setLimits(b.names, limits)
  })

  t.test('M8: connections are a wall, of each login by itself', async t => {
    const session = await running.engine.enter(running.access, fence())
    t.teardown(() => session.end())
    await session.setLimits(b.names, { ...limits, connections: 1 })
    const guest = await running.hold(b.names.database, b.as('app_a'))
    const spare = await running.hold(b.names.database, b.as('app_a'))
    await t.rejects(running.hold(b.names.database, b.as('app_a')), { message: /max_user_connections/ })
    await t.rejects(guest.query(`alter user current_user() with max_user_connections 100`))
    await t.rejects(guest.query('set session max_user_connections = 100'))
    const asB = connect(running.access, { database: null, as: b.as('app_a'), programName: 'test' })
    await t.rejects(asB, { code: 'SERVER_BUSY', retryable: true })
    await guest.close()
    await spare.close()
    await session.setLimits(b.names, limits)
  })
}

/** M9, M10: each as every one of B's logins that must not, in B's own database. */
async function refused(t: Test, { running, a, b }: Scene) {
  const notOwner: LoginRole[] = ['app_a', 'app_b', 'readonly']
  const everybody: LoginRole[] = [...loginRoles]
  const attacks: Array<{ row: string; wants: string; as: LoginRole[]; sql: string[] }> = [
    {
      row: 'M9',
      wants: 'power over its own database',
      as: notOwner,
      sql: [
        `drop database ${b.names.database}`,
        `alter database ${b.names.database} character set latin1`,
        `drop database ${recordsOf(b.names.database)}`,
        `update ${recordsOf(b.names.database)}.identity set database_id = '${a.id}'`,
        `delete from ${recordsOf(b.names.database)}.identity`
      ]
    },
    {
      row: 'M9',
      wants: 'work that goes on without it',
      as: everybody,
      sql: ['create event e on schedule every 1 second do delete from notes', 'set global event_scheduler = on']
    },
    {
      row: 'M9',
      wants: 'to pass its rights on',
      as: everybody,
      sql: [
        `grant select on ${b.names.database}.* to '${a.names.logins.app_a}'@'%'`,
        `create user mine identified by 'mine'`,
        `alter user '${a.names.logins.app_a}'@'%' account lock`,
        `set password for '${a.names.logins.app_a}'@'%' = password('mine')`,
        `alter user '${b.names.logins.app_a}'@'%' account unlock`,
        `drop user '${a.names.logins.app_a}'@'%'`
      ]
    },
    {
      row: 'M10',
      wants: 'files of the server',
      as: everybody,
      sql: [
        `select * from notes into outfile '/tmp/saasctl-stolen'`,
        `load data infile '/etc/passwd' into table notes (body)`,
        `install soname 'ha_example'`,
        `create server s foreign data wrapper mysql options (host '127.0.0.1')`
      ]
    },
    {
      row: 'M10',
      wants: 'the whole server',
      as: everybody,
      sql: [
        'set global general_log = on',
        'set global max_connections = 1',
        'flush privileges',
        'shutdown',
        'reset master',
        'handler mysql.user open',
        `create definer = root@localhost view v as select 1`,
        `create definer = root@localhost procedure p() select * from mysql.user`,
        `create definer = '${a.names.logins.owner}'@'%' view v as select * from ${a.names.database}.notes`
      ]
    }
  ]
  for (const { row, wants, as, sql } of attacks) {
    t.test(`${row}: ${wants}`, async t => {
      for (const role of as) {
        for (const statement of sql) {
          await t.rejects(running.query(b.names.database, b.as(role), statement), `${role}: ${statement}`)
        }
      }
    })
  }

  t.test('M9: a login that changes its own password is healed by setting it again', async t => {
    const as = { login: b.names.logins.app_a, password: new Secret('chosen-by-the-tenant') }
    await running.query(b.names.database, b.as('app_a'), `set password = password('${as.password.reveal()}')`)
    await t.rejects(running.query(b.names.database, b.as('app_a'), 'select 1'))
    const session = await running.engine.enter(running.access, fence())
    t.teardown(() => session.end())
    await session.setPasswords(b.names, { app_a: b.passwords.app_a })
    await t.rejects(running.query(b.names.database, as, 'select 1'))
    await running.query(b.names.database, b.as('app_a'), 'select 1')
  })

  t.test('M10: a function that reads files gives nothing', async t => {
    for (const role of loginRoles) {
      t.match(await running.query(b.names.database, b.as(role), `select load_file('/etc/passwd') as text`), [
        { text: null }
      ])
    }
  })
}

/** M11 */
async function files(t: Test, { running, b }: Scene) {
  t.test('M11: a server that asks for a file of this machine gets none', async t => {
    const secret = join(running.server.dataDir, '..', 'secret')
    await writeFile(secret, 'canary')
    const rogue = await rogueServer(running, secret)
    t.teardown(() => rogue.server.close())
    const wish = { ...running.access, port: rogue.port }
    const asking = connect(wish, { database: null, as: b.as('readonly'), programName: 'test' })
    await t.rejects(asking, { code: 'SERVER_UNREACHABLE' })
    t.ok(rogue.asked(), 'it did ask')
    t.notMatch(rogue.heard(), /canary/)
    t.equal(await readFile(secret, 'utf8'), 'canary')
  })
}

/** Passes a login on to the real server, and answers the first statement with "send me that file". */
async function rogueServer({ server: real }: RunningMysql, path: string) {
  let heard = ''
  let asked = false
  const server: Server = createServer(client => {
    const upstream = dial(real.port, real.host)
    for (const socket of [client, upstream]) socket.on('error', () => {})
    upstream.on('data', data => {
      if (!asked) client.write(data)
    })
    client.on('data', data => {
      heard += data.toString('latin1')
      // The first packet of a new exchange, a statement: the login is through.
      if (asked) return
      if (!data.subarray(3, 5).equals(Buffer.from([0, 3]))) return void upstream.write(data)
      asked = true
      const request = Buffer.concat([Buffer.from([0xfb]), Buffer.from(path)])
      client.write(Buffer.concat([Buffer.from([request.length, 0, 0, 1]), request]))
      setTimeout(() => client.destroy(), 300)
    })
    client.on('close', () => upstream.destroy())
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  return { server, port, asked: () => asked, heard: () => heard }
}

/** M12 */
async function sessions(t: Test, { running }: Scene) {
  t.test('M12: when logins are closed, nothing that they had begun goes on', async t => {
    const planned = await make(running)
    t.teardown(() => drop(running, planned))
    const { database } = planned.names
    await running.query(database, planned.as('owner'), 'create table marks (id int) engine = innodb')
    const idle = await running.hold(database, planned.as('app_a'))
    const open = await running.hold(database, planned.as('app_b'))
    await open.query('begin')
    await open.query('insert into marks values (1)')
    const busy = await running.hold(database, planned.as('app_a'))
    const working = t.rejects(busy.query('select sleep(60) from information_schema.schemata'))
    const session = await running.engine.enter(running.access, fence())
    t.teardown(() => session.end())
    await session.closeLogins(planned.names, ['app_a', 'app_b'])
    const left = await running.admin(
      `select id from information_schema.processlist where user like '${database}%' and user not like '%own'`
    )
    t.strictSame(left, [])
    await Promise.all([idle.ended, open.ended, working])
    t.match(await running.query(database, planned.as('owner'), 'select count(*) as n from marks'), [{ n: 0 }])
    for (const role of ['app_a', 'app_b'] as const) {
      await t.rejects(running.query(database, planned.as(role), 'select 1'), role)
      const asked = running.engine.identify(running.access, database, planned.as(role), planned.id)
      await t.rejects(asked, { code: 'SERVER_DENIED', retryable: false }, 'and the engine says why')
    }
  })

  t.test('M12: rights that were taken do not live on in a session', async t => {
    const planned = await make(running)
    t.teardown(() => drop(running, planned))
    const guest = await running.hold(planned.names.database, planned.as('readonly'))
    const session = await running.engine.enter(running.access, fence())
    t.teardown(() => session.end())
    await session.sealDatabase(planned.names)
    await guest.ended
  })
}
