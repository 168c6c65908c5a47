import { randomInt } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import type { MigrationFile, ServerAddress } from '../../src/engines/engine.js'
import { connect } from '../../src/engines/mysql/connect.js'
import { recordsOf } from '../../src/engines/mysql/names.js'
import { MysqlOwnerSession } from '../../src/engines/mysql/owner-session.js'
import { SaasctlError } from '../../src/errors.js'
import { skipWithoutMysql } from '../support/mariadb-server.js'
import { type RunningMysql, startMysqlEngine } from '../support/mysql-engine.js'
import { file } from '../support/postgres-engine.js'
import { type Lost, proxyTo, type TcpProxy } from '../support/proxy.js'
import { drop, fence, make, makeTemplate, type Planned, plan } from '../support/real-engines.js'

/** Statements of all three kinds, of which none may happen twice and none be left out. */
const mixed = file(
  '1_mixed',
  `create table steps (id int auto_increment primary key, note varchar(20) not null, size int not null default 0);
set @late = 'three';
insert into steps (note) values ('one'), ('two');
update steps set size = size + 1;
alter table steps add column extra int;
insert into steps (note) values (@late);
-- statement
create trigger steps_touch before update on steps for each row begin
  set new.extra = coalesce(new.extra, 0) + 1;
end;
-- statement
update steps set size = size + 10;
alter table steps rename to stages;
create view small as select id from stages where size < 11;
insert into stages (note) values ('four');`,
  `drop view small;
delete from stages where note = 'four';
drop table stages;`
)
const outcome = [
  { note: 'one', size: 11, extra: 1 },
  { note: 'two', size: 11, extra: 1 },
  { note: 'three', size: 10, extra: 1 },
  { note: 'four', size: 0, extra: null }
]

/** As the owner, over a road of the test's choice. */
async function apply(
  address: ServerAddress,
  a: Planned,
  migration: MigrationFile,
  direction: 'up' | 'down' = 'up',
  after: string | null = null
): Promise<void> {
  const session = await connect(address, { database: a.names.database, as: a.as('owner'), programName: 'test' })
  const owner = new MysqlOwnerSession(session, a.names, act => act())
  try {
    await owner.apply(migration, direction, after)
  } finally {
    session.destroy()
  }
}

/** Like a worker: what may be tried again is. */
async function insist(act: () => Promise<unknown>): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    try {
      await act()
      return
    } catch (error) {
      if (!(error instanceof SaasctlError && error.retryable) || tries === 60) throw error
      await sleep(50)
    }
  }
}

const over = (running: RunningMysql, port: number): ServerAddress => ({ ...running.access, port })

async function rows(running: RunningMysql, a: Planned): Promise<unknown[]> {
  const found = await running.admin('select note, size, extra from stages order by id', a.names.database)
  return found.map(row => ({ ...row }))
}

async function records(running: RunningMysql, a: Planned): Promise<unknown> {
  const database = recordsOf(a.names.database)
  const [row] = await running.admin(
    `select (select group_concat(name order by id) from pgmigrations) as ledger, (select count(*) from journal) as journal`,
    database
  )
  return { ...row }
}

async function print(running: RunningMysql, a: Planned): Promise<string> {
  const session = await connect(running.access, { database: a.names.database, as: a.as('owner'), programName: 'test' })
  try {
    return await new MysqlOwnerSession(session, a.names, act => act()).fingerprint()
  } finally {
    session.destroy()
  }
}

const finished = { ledger: '1_mixed', journal: 0n }
const numbers = (row: unknown) => JSON.stringify(row, (_, value) => (typeof value === 'bigint' ? Number(value) : value))

async function clientDies(t: Test, running: RunningMysql, proxy: TcpProxy) {
  const a = await make(running)
  t.teardown(() => drop(running, a))
  const empty = await print(running, a)
  for (const direction of ['up', 'down'] as const) {
    for (const lost of ['question', 'answer'] as const) {
      t.test(`${direction}: whichever ${lost} is lost, each statement has happened once`, async t => {
        const after = direction === 'up' ? null : mixed.name
        let count = 0
        for (let skip = lost === 'answer' ? 1 : 0; ; skip += direction === 'up' ? 2 : 5, count += 1) {
          if (direction === 'down') await apply(running.access, a, mixed)
          const trap = proxy.lose(lost, '', skip)
          const outcomeOfTry = await apply(over(running, proxy.port), a, mixed, direction, after).catch(error => error)
          proxy.calm()
          if (trap.heard) {
            if (trap.sprung) t.equal(outcomeOfTry?.code, 'SERVER_UNREACHABLE', `message ${skip} was lost`)
            await insist(() => apply(running.access, a, mixed, direction, after))
          }
          if (direction === 'up') {
            t.strictSame(await rows(running, a), outcome, `message ${skip}`)
            t.equal(numbers(await records(running, a)), numbers(finished))
            await apply(running.access, a, mixed, 'down', mixed.name)
          }
          t.equal(await print(running, a), empty)
          t.equal(numbers(await records(running, a)), numbers({ ledger: null, journal: 0 }))
          if (!trap.heard) break
        }
        t.ok(count > 10, `${count} messages`)
      })
    }
  }
}

async function serverDies(t: Test, running: RunningMysql, proxy: TcpProxy) {
  const a = await make(running)
  t.teardown(() => drop(running, a))
  const killedAt = async (lost: Lost, skip: number) => {
    const trap = proxy.lose(lost, '', skip)
    const trying = apply(over(running, proxy.port), a, mixed).catch(error => error)
    while (!trap.heard && (await Promise.race([trying.then(() => true), sleep(2)])) !== true);
    if (!trap.heard) {
      t.equal(await trying, undefined)
      await apply(running.access, a, mixed, 'down', mixed.name)
      return false
    }
    running.server.kill('SIGKILL')
    await trying
    await running.server.restart()
    await insist(() => apply(running.access, a, mixed))
    t.strictSame(await rows(running, a), outcome, `killed at message ${skip}, with its ${lost} lost`)
    t.equal(numbers(await records(running, a)), numbers(finished))
    await apply(running.access, a, mixed, 'down', mixed.name)
    return true
  }

  t.test('between any two statements and inside of each, nothing is lost and nothing happens twice', async t => {
    // Each costs a restart: every seventh message, beginning anywhere; the seed is the number that is printed.
    const first = randomInt(7)
    t.comment(`begins at message ${first}`)
    for (let skip = first; await killedAt(skip % 2 ? 'word' : 'answer', skip); skip += 7);
  })

  t.test('in the middle of writing a large table anew', async t => {
    const large = file('1_large', 'create table large (id int primary key, note varchar(200));')
    await apply(running.access, a, large)
    await running.admin(`insert into large select seq, repeat('x', 200) from seq_1_to_60000`, a.names.database)
    const slow = file(
      '2_slow',
      'alter table large add column more int, algorithm = copy;\ninsert into large values (0, "", 1);'
    )
    const trying = apply(running.access, a, slow, 'up', large.name).catch(error => error)
    let seen = false
    for (let tries = 0; tries < 2_000 && !seen; tries += 1) {
      const [row] = await running.admin(
        `select count(*) as n from information_schema.processlist where state like 'copy%'`
      )
      seen = Number(row?.['n']) > 0
    }
    t.ok(seen, 'the server is at it')
    running.server.kill('SIGKILL')
    t.match(await trying, { code: 'SERVER_UNREACHABLE', retryable: true })
    await running.server.restart()
    await apply(running.access, a, slow, 'up', large.name)
    const [row] = await running.admin('select count(*) as n, sum(more) as s from large', a.names.database)
    t.strictSame([Number(row?.['n']), Number(row?.['s'])], [60_001, 1])
  })
}

async function evidence(t: Test, running: RunningMysql, proxy: TcpProxy) {
  const a = await make(running)
  t.teardown(() => drop(running, a))
  const sql = (text: string) => running.admin(text, a.names.database)
  const base = file('1_base', 'create table base (id int primary key);\ncreate table other (id int primary key);')
  await apply(running.access, a, base)
  /** Cut short inside of the statement that has `text`, which the server does and the client never hears of. */
  const cut = async (migration: MigrationFile, text: string) => {
    const trap = proxy.lose('answer', text)
    await t.rejects(apply(over(running, proxy.port), a, migration, 'up', base.name), { code: 'SERVER_UNREACHABLE' })
    t.ok(trap.sprung)
    const find = `select count(*) as n from information_schema.processlist where db = '${a.names.database}'`
    while (Number((await sql(`select 1 from dual`)) && (await running.admin(find))[0]?.['n']) > 0) await sleep(10)
  }

  t.test('what else changed meanwhile is said, and undone by hand it goes on', async t => {
    const two = file('2_two', 'alter table base add column a int;\nalter table base add column b int;')
    await cut(two, 'add column a')
    await sql('alter table other add column stray int')
    await t.rejects(apply(running.access, a, two, 'up', base.name), {
      code: 'MIGRATION_FAILED',
      retryable: false,
      message: /2_two:1,.*not clear: table other changed/,
      hint: /by hand.*journal/
    })
    await sql('alter table other drop column stray')
    await apply(running.access, a, two, 'up', base.name)
    t.strictSame(
      (await sql('show columns from base')).map(row => row['Field']),
      ['id', 'a', 'b']
    )
    await sql('alter table base drop column a, drop column b')
    await running.admin(`delete from pgmigrations where name = '2_two'`, recordsOf(a.names.database))
  })

  t.test('of two tables in one DROP one may be gone: that is not taken for done', async t => {
    await sql('create table one (id int)')
    await sql('create table two (id int)')
    const both = file('2_both', 'drop table one, two;')
    const trap = proxy.lose('question', 'drop table')
    await t.rejects(apply(over(running, proxy.port), a, both, 'up', base.name), { code: 'SERVER_UNREACHABLE' })
    t.ok(trap.sprung)
    await sql('drop table one')
    await t.rejects(apply(running.access, a, both, 'up', base.name), {
      code: 'MIGRATION_FAILED',
      message: /table one changed, of several/
    })
    await sql('create table one (id int)')
    await insist(() => apply(running.access, a, both, 'up', base.name))
    t.strictSame(await sql(`show tables like 'one'`), [])
    await running.admin(`delete from pgmigrations where name = '2_both'`, recordsOf(a.names.database))
  })

  t.test('a statement that fails keeps those before it; mended, it goes on there', async t => {
    const bad = file(
      '2_bad',
      `create table made (id int primary key);\n\ninsert into made values (1);\nalter table mode add c int;`
    )
    await t.rejects(apply(running.access, a, bad, 'up', base.name), {
      code: 'MIGRATION_FAILED',
      message: /2_bad:4,.*mode' doesn't exist \(1146\).*before it are kept/,
      hint: /Mend this statement/
    })
    const other = file('2_other', 'create table unrelated (id int);')
    await t.rejects(apply(running.access, a, other, 'up', base.name), {
      code: 'MIGRATION_FAILED',
      message: /Migration 2_bad \(up\) was left half done.*2 of its statements/
    })
    await t.rejects(apply(running.access, a, { ...bad, up: bad.up.replace('made (id', 'made (nr') }, 'up', base.name), {
      code: 'MIGRATION_CHANGED',
      message: /2_bad:1 was edited after/
    })
    await apply(running.access, a, { ...bad, up: bad.up.replace('mode', 'made') }, 'up', base.name)
    t.equal((await sql('select * from made')).length, 1, 'its row came once')
    await sql('drop table made')
    await running.admin(`delete from pgmigrations where name = '2_bad'`, recordsOf(a.names.database))
  })

  t.test('one that was undone by hand is forgotten', async t => {
    const bad = file('2_gone', 'create table gone (id int);\nalter table nowhere add c int;')
    await t.rejects(apply(running.access, a, bad, 'up', base.name), { code: 'MIGRATION_FAILED' })
    await sql('drop table gone')
    const next = file('2_next', 'create table next_one (id int);', 'drop table next_one;')
    await apply(running.access, a, next, 'up', base.name)
    await apply(running.access, a, next, 'down', next.name)
    t.equal(numbers(await records(running, a)), numbers({ ledger: '1_base', journal: 0 }))
  })

  t.test('one whose first statement fails leaves nothing at all', async t => {
    await t.rejects(apply(running.access, a, file('2_x', 'create table base (id int);'), 'up', base.name), {
      code: 'MIGRATION_FAILED'
    })
    t.equal(numbers(await records(running, a)), numbers({ ledger: '1_base', journal: 0 }))
  })
}

async function copyCutShort(t: Test, running: RunningMysql, proxy: TcpProxy) {
  const template = await makeTemplate(running, [mixed])
  t.teardown(() => drop(running, template))
  const planned = plan(running.engine)
  const whole = await make(running, template, planned)
  const expected = await print(running, whole)
  await drop(running, whole)
  for (const lost of ['question', 'answer'] as const) {
    t.test(`whichever ${lost} is lost while it is played, a second try makes it whole`, async t => {
      for (let skip = 0; ; skip += 1) {
        const copy = plan(running.engine)
        const { names, passwords } = copy
        const control = await running.engine.enter(running.access, fence())
        await control.makeLogins({
          names,
          passwords,
          limits: { connections: 5, statementTimeoutMs: null, idleInTransactionMs: null, tempFileMb: null }
        })
        await control.makeDatabase(names)
        await control.guardDatabase(names)
        await control.end()
        const furnish = async (port: number) => {
          const session = await running.engine.enter({ ...running.access, port }, fence())
          try {
            const from = { names: template.names, owner: template.as('owner') }
            await session.furnishDatabase({ names, databaseId: copy.id, owner: copy.as('owner'), from })
          } finally {
            await session.end()
          }
        }
        const trap = proxy.lose(lost, '', skip)
        const first = await furnish(proxy.port).catch(error => error)
        proxy.calm()
        if (trap.sprung) await insist(() => furnish(running.access.port))
        else t.equal(first, undefined)
        t.equal(await print(running, copy), expected, `message ${skip}`)
        t.strictSame(await rows(running, copy), outcome)
        t.equal(numbers(await records(running, copy)), numbers(finished))
        await running.engine.identify(running.access, names.database, copy.as('owner'), copy.id)
        await drop(running, copy)
        if (!trap.heard) break
      }
    })
  }
}

/** What a migration on MySQL comes to when it is cut short: between any two statements, and inside of each. */
if (!(await skipWithoutMysql(t))) {
  // A killed server has all that it said was committed, as in production.
  const running = await startMysqlEngine(['--innodb-flush-log-at-trx-commit=1'])
  t.teardown(() => running.stop())
  const proxy = await proxyTo(running.server)
  t.teardown(() => proxy.close())
  await t.test('a client that dies', t => clientDies(t, running, proxy))
  await t.test('a server that dies', t => serverDies(t, running, proxy))
  await t.test('evidence', t => evidence(t, running, proxy))
  await t.test('a copy that is cut short', t => copyCutShort(t, running, proxy))
}
