import { execFile } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { dialects } from '../../src/engines/dialects.js'
import { loadMigrations } from '../../src/engines/migration-files.js'
import { recordsOf } from '../../src/engines/mysql/names.js'
import { loadTemplate } from '../../src/templates/files.js'
import { skipWithoutMysql } from '../support/mariadb-server.js'
import { type RunningMysql, startMysqlEngine } from '../support/mysql-engine.js'
import { file } from '../support/postgres-engine.js'
import { drop, inside, make, makeTemplate, migrate, type Planned } from '../support/real-engines.js'

const base = file(
  '1_base',
  `create table notes (id int auto_increment primary key, body varchar(100) not null);
insert into notes (body) values ('one'), ('two'), ('three');`,
  'drop table notes;'
)

async function locks(t: Test, running: RunningMysql) {
  const a = await make(running)
  t.teardown(() => drop(running, a))
  await migrate(running, a, [base])
  const apply = (migration: ReturnType<typeof file>) =>
    inside(running, a, owner => owner.apply(migration, 'up', base.name))
  const hold = async () => {
    const held = await running.hold(a.names.database, a.as('app_a'))
    t.teardown(() => held.close().catch(() => {}))
    return held
  }

  t.test('two at once: one migrates, the other is told so and is tried again', async t => {
    const slow = file('2_slow', `do get_lock('until it is told', 60);\nalter table notes add column slow int;`)
    const teller = await hold()
    await teller.query(`do get_lock('until it is told', 0)`)
    const both = [apply(slow), apply(slow)]
    const refused = await Promise.any(
      both.map(one =>
        one.then(
          () => Promise.reject(),
          error => error
        )
      )
    )
    t.match(refused, { code: 'SERVER_BUSY', retryable: true, message: /Another migration/ })
    await teller.close()
    t.strictSame((await Promise.allSettled(both)).map(({ status }) => status).sort(), ['fulfilled', 'rejected'])
    await inside(running, a, owner =>
      owner.apply({ ...slow, down: 'alter table notes drop column slow;' }, 'down', slow.name)
    )
  })

  t.test('no login but the owner can name the lock, read the journal or write the ledger', async t => {
    const records = recordsOf(a.names.database)
    for (const role of ['app_a', 'readonly'] as const) {
      for (const table of ['migration_lock', 'journal', 'pgmigrations']) {
        await t.rejects(running.query(a.names.database, a.as(role), `select * from ${records}.${table}`), {
          message: /denied/
        })
      }
      t.strictSame(await running.query(a.names.database, a.as(role), `show tables from ${records}`), [
        { [`Tables_in_${records}`]: 'identity' }
      ])
    }
  })

  t.test('a table that the tenant’s own session holds is not waited for longer than the file says', async t => {
    const held = await hold()
    await held.query('begin')
    await held.query('select * from notes')
    const alter = file('2_alter', 'alter table notes add column c int;', null, { lockTimeoutMs: 800 })
    await t.rejects(apply(alter), { code: 'SERVER_BUSY', retryable: true, message: /2_alter:1,.*lock/i })
    t.equal((await running.query(a.names.database, a.as('app_b'), 'select * from notes')).length, 3, 'others read on')
    await held.query('commit')
    await apply(alter)
    await inside(running, a, owner =>
      owner.apply({ ...alter, down: 'alter table notes drop column c;' }, 'down', alter.name)
    )
  })

  t.test('whoever loses in a deadlock is the migration that is tried again, and nothing of it is kept', async t => {
    await running.admin(`insert into notes (body) select 'many' from seq_1_to_200`, a.names.database)
    const held = await hold()
    await held.query('begin')
    // The server ends whoever wrote less.
    await held.query('update notes set body = "held" where id >= 2')
    const twice = file(
      '2_twice',
      `update notes set body = 'migrated' where id = 1;\nupdate notes set body = concat(body, '!') where id = 2;`,
      null,
      { lockTimeoutMs: 20_000 }
    )
    const trying = apply(twice).catch(error => error)
    const waits = `select count(*) as n from information_schema.innodb_trx where trx_state = 'LOCK WAIT'`
    // Whoever asks more often than ten times a second gets the old answer again.
    do await sleep(150)
    while (Number((await running.admin(waits))[0]?.['n']) === 0)
    await held.query('update notes set body = "held" where id = 1')
    t.match(await trying, { code: 'SERVER_BUSY', retryable: true, message: /2_twice:2,.*deadlock/i })
    await held.query('rollback')
    await apply(twice)
    const rows = await running.admin('select body from notes where id < 3 order by id', a.names.database)
    t.strictSame(
      rows.map(row => row['body']),
      ['migrated', 'two!']
    )
  })
}

async function refusals(t: Test, running: RunningMysql) {
  const a = await make(running)
  t.teardown(() => drop(running, a))
  await migrate(running, a, [base])
  const apply = (up: string, options = {}) =>
    inside(running, a, owner => owner.apply(file('2_x', up, null, options), 'up', base.name))
  const tables = async () => (await running.admin('show tables', a.names.database)).map(row => Object.values(row)[0])

  t.test('what could not be made to happen once is refused before anything is run', async t => {
    for (const [bad, message] of [
      ['begin', /2_x:2,.*ends its own transaction/],
      ['start transaction', /ends its own transaction/],
      ['COMMIT', /ends its own transaction/],
      ['rollback', /ends its own transaction/],
      ['lock tables notes write', /says LOCK TABLES/],
      ['use mysql', /says USE/],
      ['set session autocommit = 0', /AUTOCOMMIT/],
      ['truncate table notes', /empties a table/]
    ] as const) {
      await t.rejects(apply(`create table made (id int);\n${bad};`), { code: 'MIGRATION_FAILED', message }, bad)
      t.strictSame(await tables(), ['notes'])
    }
  })

  t.test('outside of a transaction a table may be emptied, and each statement stands alone', async t => {
    const down = 'insert into notes (body) values ("one"), ("two"), ("three");'
    const empty = { ...file('2_empty', 'truncate table notes;', down, { transaction: false }) }
    await inside(running, a, owner => owner.apply(empty, 'up', base.name))
    t.strictSame(await running.admin('select * from notes', a.names.database), [])
    const half = file('3_half', 'insert into notes (body) values ("kept");\ninsert into nowhere values (1);', null, {
      transaction: false
    })
    await t.rejects(
      inside(running, a, owner => owner.apply(half, 'up', empty.name)),
      { code: 'MIGRATION_FAILED', message: /3_half:2/ }
    )
    t.equal((await running.admin('select * from notes', a.names.database)).length, 1)
    await inside(running, a, owner =>
      owner.apply(
        { ...half, up: half.up.replace('nowhere values (1)', 'notes (body) values ("more")') },
        'up',
        empty.name
      )
    )
    t.equal((await running.admin('select * from notes', a.names.database)).length, 2, 'the first row came once')
    await running.admin('delete from notes', a.names.database)
    await inside(running, a, async owner => {
      await owner.apply({ ...half, down: '-- nothing' }, 'down', half.name)
      await owner.apply(empty, 'down', empty.name)
    })
  })

  t.test('a routine that commits is found out, and its file is not recorded', async t => {
    await running.admin(
      'create procedure sly() begin insert into notes (body) values ("sly"); commit; end',
      a.names.database
    )
    await running.admin(`grant execute on ${a.names.database}.* to '${a.names.logins.owner}'@'%'`)
    await t.rejects(apply('call sly();\ninsert into notes (body) values ("after");'), {
      code: 'MIGRATION_FAILED',
      message: /2_x:1,.*ended its own transaction/
    })
    const names = (await inside(running, a, owner => owner.applied())).map(({ name }) => name)
    t.strictSame(names, [base.name])
    await running.admin('drop procedure sly', a.names.database)
    await running.admin('delete from notes where body = "sly"', a.names.database)
  })

  t.test('a migration that takes longer than it says has failed', async t => {
    await t.rejects(apply('select sleep(3) from notes;', { statementTimeoutMs: 50 }), {
      code: 'MIGRATION_FAILED',
      retryable: false,
      message: /2_x:1/
    })
  })

  t.test('a mistake is told with its line in the file, also inside of a statement', async t => {
    await t.rejects(apply('insert into notes (body) values ("x");\n\nselect 1,\n  2 frum notes where;\n'), {
      code: 'MIGRATION_FAILED',
      message: /2_x:4,.*\(1064\)/
    })
    t.equal((await running.admin('select * from notes', a.names.database)).length, 3, 'its rows are taken back')
  })

  t.test('settings of one file end with it', async t => {
    await inside(running, a, async owner => {
      const loose = file('2_loose', `set sql_mode = '', foreign_key_checks = 0, @kept = 1;`, '-- nothing')
      await owner.apply(loose, 'up', base.name)
      const strict = file('3_strict', `insert into notes (body) values (repeat('x', 101));`)
      await t.rejects(owner.apply(strict, 'up', loose.name), { code: 'MIGRATION_FAILED', message: /too long/ })
      await owner.apply(loose, 'down', loose.name)
    })
  })
}

const run = promisify(execFile)

const long = (letter: string) => letter.repeat(64)

/** Names as long as they may be, and a value of every kind that could suffer on its way. */
const odd = file(
  '2_odd',
  `create table ${long('t')} (
  ${long('i')} int unsigned not null auto_increment primary key,
  ${long('c')} varchar(20) character set latin1,
  constraint ${long('k')} check (${long('c')} <> 'x'),
  key ${long('x')} (${long('c')})
);
create table \`odd \`\`one\` (id int primary key, parent int, constraint ${long('f')} foreign key (parent) references \`odd \`\`one\` (id));
create view ${long('v')} as select ${long('c')} as ${long('w')} from ${long('t')};
create view a_view as select * from ${long('v')};
create table vals (
  id int not null auto_increment primary key, txt text, bin varbinary(64), blb blob, bits bit(12), flt float, dbl double,
  dec1 decimal(30, 10), dt date, tm time(3), dtm datetime(6), ts timestamp(6) null, yr year, js json,
  en enum('a', 'b''c', 'd\\\\e'), st set('x', 'y'), pt point, gen int as (yr * 2) stored, virt int as (yr + 1) virtual,
  hid int invisible default 7
);
set sql_mode = 'NO_AUTO_VALUE_ON_ZERO,STRICT_TRANS_TABLES';
insert into vals (id, txt, bin, blb, bits, flt, dbl, dec1, dt, tm, dtm, ts, yr, js, en, st, pt) values
  (0, 'it''s "\\\\" 🦆 é; -- no', x'00ff27225c00', x'', b'101000000001', 16777217.25, 0.1, -12345678901234567890.0123456789,
   '2024-02-29', '-12:34:56.789', '2024-01-01 00:00:00.123456', '2024-06-01 12:00:00.654321', 1999, '{"a": [1, "é"]}',
   'b''c', 'x,y', point(1.5, -2)),
  (7, '', null, null, null, 1e-10, 1.7976931348623157e308, null, null, null, null, null, null, null, 'd\\\\e', '', null);
-- statement
create trigger vals_log before insert on vals for each row begin
  insert into \`odd \`\`one\` (id) values (new.id + 1000);
end;
-- statement
create function twice(n int) returns int deterministic return n * 2;
-- statement
create procedure both_ways(in a int, out b int) begin
  set b = a;
end;
-- statement
create table zz_parent (id int primary key);
create table a_child (id int primary key, aa int, key aa_key (aa), constraint a_child_fk foreign key (aa) references zz_parent (id));`,
  null
)

const everyTable = async (running: RunningMysql, { names }: Planned) => {
  const found = await running.admin(
    `select table_name as name from information_schema.tables where table_schema = '${names.database}' and table_type = 'BASE TABLE' order by 1`
  )
  const list = found.map(row => `\`${String(row['name']).replaceAll('`', '``')}\``).join(', ')
  const sums = await running.admin(`checksum table ${list} extended`, names.database)
  return sums.map(row => [String(row['Table']).replace(names.database, 'db'), String(row['Checksum'])])
}
const printOf = (running: RunningMysql, a: Planned) => inside(running, a, owner => owner.fingerprint())

async function copies(t: Test, running: RunningMysql) {
  const a = await make(running)
  t.teardown(() => drop(running, a))
  await migrate(running, a, [base, odd])
  const expected = [await printOf(running, a), await everyTable(running, a)]

  t.test('a copy has every row, name and object of its template, byte for byte', async t => {
    const copy = await make(running, a)
    t.teardown(() => drop(running, copy))
    t.strictSame([await printOf(running, copy), await everyTable(running, copy)], expected)
    const objects = await running.admin(
      `select definer from information_schema.triggers where trigger_schema = '${copy.names.database}'
       union select definer from information_schema.views where table_schema = '${copy.names.database}'
       union select definer from information_schema.routines where routine_schema = '${copy.names.database}'`
    )
    t.strictSame(
      objects.map(row => row['definer']),
      [`${copy.names.logins.owner}@%`],
      'and all of it is its own owner’s'
    )
    const [row] = await running.query(
      copy.names.database,
      copy.as('app_a'),
      'select id, txt, hid from vals order by id'
    )
    t.strictSame({ ...row }, { id: 0, txt: `it's "\\" 🦆 é; -- no`, hid: 7 })
    t.strictSame(
      (await inside(running, copy, owner => owner.applied())).map(({ name }) => name),
      [base.name, odd.name]
    )
  })

  t.test('a dump that is restored has the same fingerprint', async t => {
    const restored = await make(running)
    t.teardown(() => drop(running, restored))
    const way = ({ names, as }: Planned) => ({
      args: [
        '--no-defaults',
        '--protocol=tcp',
        '--host=127.0.0.1',
        `--port=${running.access.port}`,
        `--user=${as('owner').login}`,
        names.database
      ],
      options: { env: { MYSQL_PWD: as('owner').password.reveal() }, maxBuffer: 1e8 }
    })
    const dump = way(a)
    const [tool = '', ...database] = dump.args
    const { stdout } = await run(
      'mariadb-dump',
      [tool, '--routines', '--triggers', '--single-transaction', '--no-tablespaces', ...database],
      dump.options
    )
    const restore = way(restored)
    const restoring = run('mariadb', restore.args, restore.options)
    restoring.child.stdin?.end(stdout.replace(/DEFINER=`[^`]*`@`[^`]*`/g, ''))
    await restoring
    t.equal(await printOf(running, restored), expected[0])
  })

  t.test('any change of the schema is another fingerprint, and what is no schema is not', async t => {
    const sql = (text: string) => running.admin(text, a.names.database)
    const changes: Array<[string, string]> = [
      ['alter table vals add column extra int', 'alter table vals drop column extra'],
      ['alter table vals modify txt mediumtext', 'alter table vals modify txt text'],
      ['alter table vals alter column hid set default 8', 'alter table vals alter column hid set default 7'],
      ['create index vals_dt on vals (dt)', 'drop index vals_dt on vals'],
      ['alter table vals add constraint yes check (yr > 0)', 'alter table vals drop constraint yes'],
      ['create view other as select 1 as one', 'drop view other'],
      ['create trigger more before delete on vals for each row set @a = 1', 'drop trigger more'],
      ['create function f() returns int deterministic return 1', 'drop function f'],
      ['alter table vals row_format = compact', 'alter table vals row_format = default'],
      [
        'alter table a_child drop foreign key a_child_fk',
        'alter table a_child add constraint a_child_fk foreign key (aa) references zz_parent (id)'
      ]
    ]
    for (const [change, back] of changes) {
      await sql(change)
      t.not(await printOf(running, a), expected[0], change)
      await sql(back)
      t.equal(await printOf(running, a), expected[0], back)
    }
    if (running.server.flavour === 'mariadb') {
      const prints = new Set([expected[0]])
      for (const parameters of ['', 'increment by 5', 'maxvalue 1000', 'cache 3', 'cycle']) {
        await sql(`create sequence numbered ${parameters}`)
        const print = await printOf(running, a)
        t.notOk(prints.has(print), `a sequence ${parameters}`)
        prints.add(print)
        await sql('do nextval(numbered)')
        t.equal(await printOf(running, a), print, 'and what it has come to is none of it')
        await sql('drop sequence numbered')
      }
    }
    await sql('alter table vals auto_increment = 5000')
    await sql(`alter table vals comment = 'for people'`)
    await sql('analyze table vals')
    t.equal(await printOf(running, a), expected[0])
  })
}

/** The example product on a server that was set up by somebody with other ideas. */
async function product(running: RunningMysql): Promise<{ print: string; copy: string; invoices: unknown }> {
  const files = await loadMigrations('tenant-migrations/mysql', dialects.mysql)
  const template = await makeTemplate(running, [])
  const session = await running.engine.enter(running.access, {
    operation: 'x',
    epoch: 1,
    lock: 'x',
    confirm: async () => {}
  })
  await session.unsealDatabase(template.names)
  await session.end()
  await migrate(running, template, files)
  const seeds = (await loadTemplate('tenant-templates', 'demo')).engines.mysql?.seeds ?? []
  await inside(running, template, async owner => {
    for (const { sql } of seeds) await owner.run(sql)
  })
  const copy = await make(running, template)
  const [row] = await running.query(
    copy.names.database,
    copy.as('app_a'),
    `select count(*) as invoices, count(number) as numbered, (select count(*) from events) as events,
       (select hex(name) from customers where name like 'Caf%') as cafe from invoices`
  )
  return { print: await printOf(running, template), copy: await printOf(running, copy), invoices: { ...row } }
}

if (!(await skipWithoutMysql(t))) {
  const running = await startMysqlEngine()
  t.teardown(() => running.stop())
  await t.test('locks', t => locks(t, running))
  await t.test('refusals', t => refusals(t, running))
  await t.test('copies', t => copies(t, running))
  await t.test('whatever a server’s own settings are, the product is the same on it', async t => {
    const expected = await product(running)
    t.equal(expected.copy, expected.print)
    t.match(expected.invoices, {
      invoices: 50,
      numbered: 44,
      cafe: Buffer.from('Café Lumière').toString('hex').toUpperCase()
    })
    const foreign = await startMysqlEngine([
      '--sql-mode=ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT',
      '--character-set-server=latin1',
      '--collation-server=latin1_swedish_ci',
      '--lower-case-table-names=1',
      '--default-time-zone=+05:30',
      '--default-storage-engine=MyISAM',
      '--explicit-defaults-for-timestamp=OFF',
      '--innodb-strict-mode=OFF'
    ])
    t.teardown(() => foreign.stop())
    t.strictSame(await product(foreign), expected)
  })
}
