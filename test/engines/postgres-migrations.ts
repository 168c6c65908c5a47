import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { runner } from 'node-pg-migrate'
import pg from 'pg'
import t, { type Test } from 'tap'
import { loadMigrations } from '../../src/engines/migration-files.js'
import { file, type RunningPostgres, startPostgres } from '../support/postgres-engine.js'
import { drop, inside, make, migrate, type Planned } from '../support/real-engines.js'
import { type Binaries, postgresBinaries, skipWithoutPostgres } from '../support/servers.js'

/** Migrations as only PostgreSQL has them: advisory locks, node-pg-migrate beside us, statements outside of transactions. */
if (!(await skipWithoutPostgres(t))) {
  for (const binaries of await postgresBinaries()) {
    t.test(`PostgreSQL ${binaries.version}`, async t => {
      const running = await startPostgres({ binaries, config: { log_statement: 'all' } })
      t.teardown(() => running.stop())
      t.test('node-pg-migrate', t => nodePgMigrate(t, running))
      t.test('migrations', t => migrations(t, running))
      t.test('outside of transactions', t => unwrapped(t, running))
      t.test('dump and restore', t => dumpAndRestore(t, running, binaries))
    })
  }
}

async function nodePgMigrate(t: Test, running: RunningPostgres) {
  const a = await make(running)
  t.teardown(() => drop(running, a))
  const dir = await mkdtemp(join(tmpdir(), 'saasctl-migrations-'))
  t.teardown(() => rm(dir, { recursive: true, force: true }))
  for (const number of [1, 2, 3]) {
    const text = `-- Up Migration\ncreate table m${number} (id int);\n-- Down Migration\ndrop table m${number};\n`
    await writeFile(join(dir, `${number}_m.sql`), text)
  }
  const files = await loadMigrations(dir)

  const theirs = async (direction: 'up' | 'down', options = {}) => {
    const dbClient = await clientOf(running, a)
    try {
      const settings = { dbClient, dir, direction, migrationsTable: 'pgmigrations', migrationsSchema: 'saasctl' }
      const ran = await runner({ ...settings, checkOrder: true, log: () => {}, ...options })
      return ran.map(({ name }) => name)
    } finally {
      await dbClient.end()
    }
  }
  const ours = async () =>
    (await running.engine.appliedMigrations(running.access, a.names.database, a.as('owner'))).map(({ name }) => name)

  t.test('its runner finds nothing to do after ours, and ours nothing after its own', async t => {
    await migrate(running, a, files)
    t.strictSame(await theirs('up'), [])
    t.strictSame(await theirs('down', { count: 1 }), ['3_m'])
    t.strictSame(await ours(), ['1_m', '2_m'])
    await inside(running, a, owner => owner.apply(file('3_m', 'create table m3 (id int)'), 'up', '2_m'))
    t.strictSame(await theirs('up'), [])
    t.strictSame(await theirs('down', { count: 2 }), ['3_m', '2_m'])
    t.strictSame(await theirs('up'), ['2_m', '3_m'])
    t.strictSame(await ours(), ['1_m', '2_m', '3_m'])
    await inside(running, a, async owner => {
      for (const { name } of [...files].reverse()) {
        const [migration] = files.filter(each => each.name === name)
        if (migration) await owner.apply(migration, 'down', name)
      }
    })
    t.strictSame(await theirs('up'), ['1_m', '2_m', '3_m'])
  })

  t.test('while it holds its lock, ours waits for another time', async t => {
    const client = await clientOf(running, a)
    t.teardown(() => client.end())
    await client.query('select pg_advisory_lock(7241865325823964)')
    await t.rejects(
      inside(running, a, owner => owner.apply(file('4_m', 'create table m4 (id int)'), 'up', '3_m')),
      { code: 'SERVER_BUSY', retryable: true, message: /Another migration/ }
    )
    await client.query('select pg_advisory_unlock_all()')
    await inside(running, a, owner => owner.apply(file('4_m', 'create table m4 (id int)'), 'up', '3_m'))
  })
}

async function clientOf({ access }: RunningPostgres, a: Planned, role: 'owner' | 'app_a' = 'owner') {
  const { login, password } = a.as(role)
  const { host, port } = access
  const client = new pg.Client({ host, port, database: a.names.database, user: login, password: password.reveal() })
  client.on('error', () => {})
  await client.connect()
  return client
}

async function migrations(t: Test, running: RunningPostgres) {
  const a = await make(running)
  t.teardown(() => drop(running, a))
  await migrate(running, a, [running.sql.notes])
  const after = running.sql.notes.name
  const names = async () =>
    (await running.engine.appliedMigrations(running.access, a.names.database, a.as('owner'))).map(({ name }) => name)

  t.test('an app login that holds the migration lock loses its session', async () => {
    const attacker = await running.hold(a.names.database, a.as('app_a'))
    await attacker.query('select pg_advisory_lock(7241865325823964)')
    await inside(running, a, owner =>
      owner.apply(file('2_m', 'create table m2 (id int)', 'drop table m2'), 'up', after)
    )
    await attacker.ended
    await inside(running, a, owner => owner.apply(file('2_m', '', 'drop table m2'), 'down', '2_m'))
  })

  t.test('a lock on a table is waited for no longer than the file says, and the migration is tried again', async t => {
    const holder = await running.hold(a.names.database, a.as('app_a'))
    await holder.query('begin; select * from notes')
    const alter = file('2_m', 'alter table notes add column c int', null, { lockTimeoutMs: 50 })
    await t.rejects(
      inside(running, a, owner => owner.apply(alter, 'up', after)),
      { code: 'SERVER_BUSY', retryable: true, message: /2_m:1.*lock/ }
    )
    await holder.close()
    t.strictSame(await names(), [after])
  })

  t.test('a migration that takes longer than it says has failed', async t => {
    const slow = file('2_m', 'select pg_sleep(5)', null, { statementTimeoutMs: 50 })
    await t.rejects(
      inside(running, a, owner => owner.apply(slow, 'up', after)),
      { code: 'MIGRATION_FAILED', retryable: false, message: /statement timeout/ }
    )
  })

  t.test('a COMMIT inside a file is found out, and its row is not written', async t => {
    const hidden = file(
      '2_m',
      'create table kept (id int);\ncommit;\nbegin;\nset search_path = public;\ncreate table dropped (id int);'
    )
    await inside(running, a, async owner => {
      await t.rejects(owner.apply(hidden, 'up', after), {
        code: 'MIGRATION_FAILED',
        message: /ended its own transaction/
      })
      await owner.run('drop table kept;')
      await t.rejects(owner.run('drop table dropped;'))
    })
    t.strictSame(await names(), [after])
  })

  t.test('what a file sets for its session is gone for the next', async t => {
    const setter = file('2_m', `set search_path = nowhere; set role ${a.names.logins.owner}; set statement_timeout = 1`)
    await inside(running, a, async owner => {
      await owner.apply(setter, 'up', after)
      await owner.apply(file('3_m', 'select pg_sleep(0.05); create table in_public (id int)'), 'up', '2_m')
      await owner.apply(file('3_m', '', 'drop table public.in_public'), 'down', '3_m')
      await owner.apply(file('2_m', '', ''), 'down', '2_m')
    })
    t.strictSame(await names(), [after])
  })

  t.test('a file may end in a comment, hold any quote, and be named in any way', async t => {
    const odd = file(`2_it's $$ odd "`, `select '''; $s$', $q$ ; $q$; -- the end`, '-- nothing')
    await inside(running, a, async owner => {
      await owner.apply(odd, 'up', after)
      t.equal((await owner.applied()).at(-1)?.name, odd.name)
      await owner.apply(odd, 'down', odd.name)
    })
  })

  t.test('a syntax error in the last line runs nothing of the file, and names the line of the file', async t => {
    const wrong = { ...file('2_m', 'create table early (id int);\n\nselekt 1;'), lines: { up: 4, down: 9 } }
    await inside(running, a, owner =>
      t.rejects(owner.apply(wrong, 'up', after), { code: 'MIGRATION_FAILED', message: /2_m:6.*syntax error/ })
    )
    t.strictSame(await names(), [after])
  })

  t.test('an error that the server gives no position for has its line too', async t => {
    const wrong = {
      ...file('2_m', "select ';';\n\n-- again\ncreate table notes (id int);\n"),
      lines: { up: 10, down: 1 }
    }
    await inside(running, a, owner =>
      t.rejects(owner.apply(wrong, 'up', after), { code: 'MIGRATION_FAILED', message: /2_m:13.*already exists/ })
    )
  })

  t.test('one migration among many databases is one message', async t => {
    const before = (await readFile(running.server.logFile, 'utf8')).length
    await inside(running, a, owner => owner.apply(file('2_one_message', 'select 1', ''), 'up', after))
    const log = (await readFile(running.server.logFile, 'utf8')).slice(before)
    const statements = log
      .split('\n')
      .filter(line => line.includes(`${a.names.logins.owner}@`) && /statement:/.test(line))
    t.equal(statements.length, 1)
    await inside(running, a, owner => owner.apply(file('2_one_message', '', ''), 'down', '2_one_message'))
  })
}

async function unwrapped(t: Test, running: RunningPostgres) {
  const a = await make(running)
  t.teardown(() => drop(running, a))
  await migrate(running, a, [running.sql.notes])
  const after = running.sql.notes.name
  const app = (statement: string) => running.query(a.names.database, a.as('app_a'), statement)
  const indexes = async () =>
    await running.query(
      a.names.database,
      a.as('owner'),
      `select indexrelid::regclass::text as name, indisvalid as valid from pg_index
       where indrelid = 'notes'::regclass and not indisprimary order by 1`
    )
  const outside = (up: string) =>
    file('2_indexes', up, 'drop index concurrently if exists notes_one;', { transaction: false })

  t.test('an index that was left half made is dropped and made again', async t => {
    await app(`insert into notes (body) values ('same'), ('same')`)
    const migration = outside(
      'create index concurrently notes_plain on notes (body);\n' +
        'create unique index concurrently if not exists "notes_one" on notes (body);\n'
    )
    await inside(running, a, async owner => {
      await t.rejects(owner.apply(migration, 'up', after), { code: 'MIGRATION_FAILED', message: /2_indexes:2/ })
      t.strictSame(await indexes(), [
        { name: 'notes_one', valid: false },
        { name: 'notes_plain', valid: true }
      ])
      await app('delete from notes')
      await owner.apply(migration, 'up', after)
      await owner.apply(migration, 'up', after)
      t.strictSame(
        (await owner.applied()).map(({ name }) => name),
        [after, '2_indexes']
      )
      await owner.apply(migration, 'down', '2_indexes')
    })
    t.strictSame(await indexes(), [{ name: 'notes_plain', valid: true }])
  })

  t.test('it is refused like any other when somebody else migrated, and leaves no lock behind', async t => {
    await inside(running, a, async owner => {
      await t.rejects(owner.apply(outside('select 1;'), 'up', 'other'), { code: 'MIGRATION_CHANGED' })
      const [locks] = await running.admin(`select count(*)::int as n from pg_locks where locktype = 'advisory'
        and objid = 2424155420`)
      t.equal(locks?.['n'], 0)
    })
    await inside(running, a, owner => owner.apply(file('2_m', 'select 1', ''), 'up', after))
  })
}

async function dumpAndRestore(t: Test, running: RunningPostgres, { binDir }: Binaries) {
  const [dump, restore] = [join(binDir, 'pg_dump'), join(binDir, 'pg_restore')]
  if (!existsSync(dump)) return t.pass('no pg_dump of this version here', { skip: 'no pg_dump' })
  const run = promisify(execFile)
  const folder = await mkdtemp(join(tmpdir(), 'saasctl-dump-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const a = await make(running)
  const b = await make(running)
  t.teardown(() => drop(running, a))
  t.teardown(() => drop(running, b))
  const lists = file(
    '6_lists',
    `create table lists (kind varchar(9) default 'a' check (kind in ('a', 'it''s')), n numeric(9, 2) not null);
     create index on lists (kind) where kind in ('a', 'b');
     create view chosen as select * from lists where kind in ('a', 'b') and n between 1 and 2;
     alter table lists add gone int; alter table lists drop gone; alter table lists add later text;`
  )
  await migrate(running, a, [running.sql.everything, lists])
  const env = (planned: Planned) =>
    running.engine.shell(running.access, planned.names.database, planned.as('owner'), { readOnly: false }).env
  const archive = join(folder, 'a.dump')
  await run(dump, ['-Fc', '-N', 'saasctl', '-f', archive, '--no-acl', '--no-owner'], { env: env(a) })
  await run(restore, ['-d', b.names.database, '--no-owner', '--clean', '--if-exists', archive], { env: env(b) })
  const print = (planned: Planned) => inside(running, planned, owner => owner.fingerprint())
  t.equal(await print(b), await print(a), 'the fingerprint is the same after dump and restore')
}
