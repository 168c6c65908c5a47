import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { promisify } from 'node:util'
import pg from 'pg'
import t, { type Test } from 'tap'
import { loadSakila } from '../../examples/sakila.js'
import { beginDump, children, type Dumped, dumpOf, lookInto, play, restoreOf } from '../support/dump-and-restore.js'
import { eventually } from '../support/eventually.js'
import { type RunningPostgres, startPostgres } from '../support/postgres-engine.js'
import { drop, make, type Planned } from '../support/real-engines.js'
import { sakilaFolder } from '../support/sakila-folder.js'
import { scratch, skipWithoutPostgres } from '../support/servers.js'

if (!(await skipWithoutPostgres(t))) {
  const running = await startPostgres({})
  t.teardown(() => running.stop())
  const made = async (t: Test, ...statements: string[]) => {
    const planned = await make(running)
    t.teardown(() => drop(running, planned))
    for (const sql of statements) await running.query(planned.names.database, planned.as('owner'), sql)
    return planned
  }
  const superusers = async () =>
    (await running.admin('select rolname from pg_roles where rolsuper order by 1')).map(({ rolname }) => rolname)

  await t.test(
    'names that are commands, and functions that reach for power, gain nothing by dump and restore',
    async t => {
      const evil = await made(
        t,
        `create table "x
\\! touch /tmp/saasctl-was-here
alter role current_user superuser; --" (id int)`,
        `create function pwn(n int) returns int language plpgsql immutable as $$ begin
         begin execute 'alter role ' || quote_ident(session_user) || ' superuser'; exception when others then null; end;
         return n; end $$`,
        'create table bait (id int check (pwn(id) > 0))',
        'insert into bait values (1)',
        'create index on bait (pwn(id))',
        'create view lure as select pwn(id) from bait',
        'create materialized view trap as select pwn(id) from bait',
        `create function sprung() returns trigger language plpgsql as $$ begin perform pwn(1); return new; end $$`,
        'create trigger sprung before insert on saasctl.pgmigrations for each row execute function sprung()',
        `comment on table bait is E'\\n\\\\! touch /tmp/saasctl-was-here'`
      )
      const before = await superusers()
      for (const dumped of [await dumpOf(running, evil), await dumpOf(running, evil, { path: '' })]) {
        const restored = await restoreOf(running, dumped)
        t.teardown(() => drop(running, restored))
        t.strictSame(await superusers(), before, dumped.facts.tool)
        t.strictSame((await lookInto(running, restored)).rows, dumped.facts.rows)
        const triggers = await running.query(
          restored.names.database,
          restored.as('owner'),
          `select from pg_trigger where tgrelid = 'saasctl.pgmigrations'::regclass`
        )
        t.equal(triggers.length, 0, 'what was hung on our tables stays behind')
      }
      await t.rejects(promisify(execFile)('ls', ['/tmp/saasctl-was-here']), 'no program was run')
    }
  )

  await t.test('nobody of the old database has a right in the restored one', async t => {
    const planned = await made(t, 'create table notes (id int)')
    const { app } = planned.names
    await running.query(planned.names.database, planned.as('owner'), `create policy p on notes to ${app} using (true)`)
    const restored = await restoreOf(running, await dumpOf(running, planned))
    t.teardown(() => drop(running, restored))
    const foreign = await running.admin(
      `select r.rolname from pg_shdepend s join pg_database d on d.oid = s.dbid join pg_roles r on r.oid = s.refobjid
       where d.datname = '${restored.names.database}' and s.refclassid = 'pg_authid'::regclass
         and r.rolname !~ '^${restored.names.database}'`
    )
    t.strictSame(foreign, [])
  })

  await t.test('large objects of the application come back as its own', async t => {
    const planned = await made(t)
    const text = 'large '.repeat(200_000)
    await running.query(planned.names.database, planned.as('app_a'), `select lo_from_bytea(4711, '${text}'::bytea)`)
    const restored = await restoreOf(running, await dumpOf(running, planned))
    t.teardown(() => drop(running, restored))
    const [row] = await running.query(
      restored.names.database,
      restored.as('app_b'),
      `select convert_from(lo_get(4711), 'UTF8') = '${text}' as same, lo_unlink(4711) as unlinked`
    )
    t.strictSame(row, { same: true, unlinked: 1 })
  })

  await t.test('rows that a policy hides even from their owner are refused, and not left out', async t => {
    const planned = await made(
      t,
      'create table secrets (id int)',
      'insert into secrets values (1)',
      'alter table secrets enable row level security',
      'alter table secrets force row level security'
    )
    await t.rejects(dumpOf(running, planned), { message: /row-level security.*secrets/ })
  })

  await t.test('whoever reads a restored table first writes nothing, partitions included', async t => {
    const planned = await made(
      t,
      `create table plain as select i, repeat('x', 100) as text from generate_series(1, 2000) i`,
      'create table parts (i int, j int) partition by range (i)',
      'create table one partition of parts for values from (0) to (1000)',
      'create table two partition of parts for values from (1000) to (9000) partition by range (j)',
      'create table two_a partition of two for values from (0) to (9000)',
      'insert into parts select i, i from generate_series(1, 2000) i'
    )
    const dumped = await dumpOf(running, planned)
    t.same(dumped.facts.migrations, [], 'the dump says what of the ledger is in it')
    const restored = await restoreOf(running, dumped)
    t.teardown(() => drop(running, restored))
    // What is still to be written cannot be made so by a reader.
    await running.admin('checkpoint')
    for (const table of ['plain', 'one', 'two_a']) {
      const [row] = await running.query(
        restored.names.database,
        restored.as('owner'),
        `explain (analyze, buffers, format json) select count(*) from ${table}`
      )
      const [read] = (row as { 'QUERY PLAN': Array<{ Plan: Record<string, number> }> })['QUERY PLAN']
      t.equal(read?.Plan['Shared Dirtied Blocks'], 0, table)
    }
    t.strictSame((await lookInto(running, restored)).rows, dumped.facts.rows)
  })

  await t.test(
    'of a schema that was dumped before, pg_dump alone says all that is said by a session beside it',
    async t => {
      const schema = [
        'create extension citext',
        `create type mood as enum ('glad', 'sad')`,
        'create table "order" (id int primary key, note text, "Select" citext, mood mood, twice int generated always as (id * 2) stored)',
        'create table "a.b" ("x\ty" text)',
        'create table nothing ()',
        'create table parts (i int) partition by range (i)',
        'create table one partition of parts for values from (0) to (10)',
        'create view glad as select id from "order" where mood = \'glad\'',
        'alter table "order" enable row level security'
      ]
      const [first, second] = [await made(t, ...schema), await made(t, ...schema)]
      for (const { names, as } of [first, second]) {
        await running.query(names.database, as('owner'), `create policy mine on "order" to ${names.app} using (true)`)
      }
      await running.query(
        second.names.database,
        second.as('owner'),
        `insert into "order" select n, E'a\\n\\\\.\\n\\tb', null from generate_series(1, 700) n;
       insert into "a.b" values (repeat(E'\\n', 70000)); insert into nothing select from generate_series(1, 3);
       insert into parts values (1), (2);
       insert into saasctl.pgmigrations (name, run_on) values ('2_b', '2024-01-02'), (E'1\\t\\\\a', '2024-01-01'), ('2_c', '2024-01-02')`
      )
      const fingerprint = 'as the catalog has it'
      t.equal((await dumpOf(running, first, { fingerprint })).compressed, true, 'nobody had seen it')
      const beside = await dumpOf(running, second)
      const alone = await dumpOf(running, second, { fingerprint })
      t.equal(alone.compressed, false)
      t.strictSame(said(alone), said(beside))
      t.match(alone.facts.rows, { 'public."order"': 700, 'public."a.b"': 1, 'public.nothing': 3, 'public.one': 2 })
      t.strictSame(alone.facts.migrations, [{ name: '1\t\\a' }, { name: '2_b' }, { name: '2_c' }])
      const restored = await restoreOf(running, alone)
      t.teardown(() => drop(running, restored))
      const { rows, migrations } = alone.facts
      t.strictSame(await lookInto(running, restored), {
        rows,
        fingerprint: alone.facts.fingerprint,
        migrations: migrations.map(({ name }) => name)
      })
      for (const change of [
        'alter table "order" alter note type varchar(99)',
        `create function one() returns int language sql as 'select 1'`,
        `select lo_from_bytea(4711, 'large')`
      ]) {
        await running.query(second.names.database, second.as('owner'), change)
        const seen = await dumpOf(running, second, { fingerprint })
        t.equal(seen.compressed, true, `it is looked at after: ${change}`)
        t.strictSame(said(seen), said(await dumpOf(running, second)))
      }
      t.equal((await dumpOf(running, second, { fingerprint })).compressed, true, 'large objects are counted each time')
    }
  )

  await t.test('what a dump leaves behind teaches nothing about the schema', async t => {
    const planned = await made(t, 'create table indexed (id int)', 'create index broken on indexed (id)')
    const { database } = planned.names
    await running.admin(`update pg_index set indisvalid = false where indexrelid = 'broken'::regclass`, database)
    const fingerprint = 'of an index that is not valid'
    await dumpOf(running, planned, { fingerprint })
    t.equal((await dumpOf(running, planned, { fingerprint })).compressed, true)
    await running.query(database, planned.as('owner'), 'drop index broken')
    const whole = await dumpOf(running, planned, { fingerprint })
    t.equal(whole.facts.fingerprint, (await lookInto(running, planned)).fingerprint)
    t.equal((await dumpOf(running, planned, { fingerprint })).compressed, false)
  })

  await t.test('a dump by pg_dump alone is cancelled like any other, and leaves no program behind', async t => {
    const planned = await made(
      t,
      `create table long as select repeat('long ', 1000) as text from generate_series(1, 4000)`
    )
    const fingerprint = 'of something long'
    await dumpOf(running, planned, { fingerprint })
    const cancelling = new AbortController()
    const path = process.env['PATH'] ?? ''
    const dump = await beginDump(running, planned, { fingerprint, path, signal: cancelling.signal })
    t.equal(dump.compressed, false)
    cancelling.abort()
    await t.rejects(buffer(dump.stream), { code: 'CANCELLED' })
    await t.rejects(dump.facts, { code: 'CANCELLED' })
    await eventually(children, found => found.every(({ args }) => !args.includes('pg_dump')))
  })

  await t.test('a thousand tables come back', async t => {
    const planned = await made(
      t,
      `do $$ begin for i in 1..1000 loop
         execute format('create table t%s (id int primary key)', i); execute format('insert into t%s values (%s)', i, i);
       end loop; end $$`
    )
    const [native, dumped] = [await dumpOf(running, planned), await dumpOf(running, planned, { path: '' })]
    t.equal(Object.keys(native.facts.rows).length, 1000)
    t.strictSame(dumped.facts.rows, native.facts.rows, 'whichever way they were dumped')
    t.equal(dumped.facts.fingerprint, native.facts.fingerprint)
    const restored = await restoreOf(running, dumped)
    t.teardown(() => drop(running, restored))
    t.strictSame((await lookInto(running, restored)).rows, native.facts.rows)
  })

  await t.test('functions of the tenant’s own, that run while it comes back, keep nothing of it away', async t => {
    const body = (sql: string) => `language plpgsql as $$ begin ${sql}; end $$`
    const strange = await made(
      t,
      'create table limits (a int)',
      'insert into limits values (1)',
      'create table log (at timestamptz)',
      `create function one() returns int immutable ${body('return 1')}`,
      `create function highest(n int) returns int immutable ${body('return one() + n')}`,
      `create function fits(n int) returns boolean ${body('return n < 100 * (select count(*) + 1 from limits)')}`,
      `create function noted() returns int ${body('insert into log values (now()); return 1')}`,
      'create domain small as int check (fits(value))',
      'create table facts (id int check (fits(id)), s small, higher int generated always as (highest(id)) stored)',
      'insert into facts values (1, 2), (3, 4)',
      'create index on facts (highest(id))',
      'create materialized view named as select (select max(a) from limits) + highest(0) as h, fits(5), random() as r, now() as at',
      'create materialized view writing as select noted()',
      'create materialized view upon as select * from writing',
      'create materialized view broken as select 1 / id as x from facts',
      'create materialized view without as select * from facts with no data',
      'update facts set id = 0 where id = 1'
    )
    for (const dumped of [await dumpOf(running, strange), await dumpOf(running, strange, { path: '' })]) {
      const restored = await make(running)
      t.teardown(() => drop(running, restored))
      const { rows, notes } = await play(running, restored, dumped.bytes, dumped.facts.format)
      const query = (sql: string) => running.query(restored.names.database, restored.as('owner'), sql)
      const { fingerprint } = await lookInto(running, restored)
      t.equal(fingerprint, dumped.facts.fingerprint, dumped.facts.tool)
      t.match(rows, dumped.facts.rows, 'every row of the dump was taken in')
      t.strictSame(await query('select count(*)::int from log'), [{ count: 2 }], 'and a view has written one more')
      t.strictSame(await query('select h from named'), [{ h: 2 }])
      t.strictSame(await query('select higher from facts where id = 3'), [{ higher: 4 }])
      t.match(notes, [/^materialized view public\.broken .* is empty: division by zero/])
      const empty = await query('select relname from pg_class where not relispopulated order by 1')
      t.strictSame(empty, [{ relname: 'broken' }, { relname: 'without' }])
    }
  })

  const sakila = sakilaFolder(t)
  const skip = sakila === undefined && 'no Sakila here'
  await t.test('Sakila is the same whichever way it was dumped and restored', { skip }, async t => {
    const planned = await made(t)
    if (sakila !== undefined) await connected(running, planned, client => loadSakila(client, sakila))
    const contents = await contentOf(running, planned)
    const native = await dumpOf(running, planned)
    const portable = await dumpOf(running, planned, { path: '' })
    t.strictSame(portable.facts.rows, native.facts.rows)
    t.equal(portable.facts.fingerprint, native.facts.fingerprint)
    for (const dumped of [native, portable]) {
      const restored = await restoreOf(running, dumped)
      t.teardown(() => drop(running, restored))
      t.strictSame(await contentOf(running, restored), contents, `${dumped.facts.tool}, by us`)
      t.match(await lookInto(running, restored), { rows: native.facts.rows, fingerprint: native.facts.fingerprint })
      // What is ours is in the archive too, and a restore by hand has no use for the one that is there.
      const byTool = await made(t, 'drop schema saasctl cascade')
      await byPgRestore(running, byTool, dumped.bytes)
      t.strictSame(
        await contentOf(running, byTool, Object.keys(contents)),
        contents,
        `${dumped.facts.tool}, by pg_restore`
      )
    }
  })

  await t.test('a restore that fails leaves nothing of itself', async t => {
    const planned = await made(t, 'create table kept (id int)', 'insert into kept select generate_series(1, 99)')
    const dumped = await dumpOf(running, planned)
    const target = await made(t)
    await t.rejects(play(running, target, dumped.bytes.subarray(0, dumped.bytes.length - 9), dumped.facts.format))
    t.strictSame((await lookInto(running, target)).rows, {})
  })
}

/** Beside a migration's name, when it was applied is of no use to whoever reads a dump. */
function said({ facts }: Dumped) {
  return { ...facts, migrations: facts.migrations.map(({ name }) => name) }
}

async function connected<Result>(
  { server }: RunningPostgres,
  { names, as }: Planned,
  act: (client: pg.Client) => Promise<Result>
): Promise<Result> {
  const { login, password } = as('owner')
  const client = new pg.Client({
    host: server.host,
    port: server.port,
    database: names.database,
    user: login,
    password: password.reveal()
  })
  await client.connect()
  try {
    return await act(client)
  } finally {
    await client.end()
  }
}

/** A hash of each table's rows, in whatever order they come. */
async function contentOf(
  running: RunningPostgres,
  planned: Planned,
  tables?: string[]
): Promise<Record<string, string>> {
  const hashes: Record<string, string> = {}
  for (const name of tables ?? Object.keys((await lookInto(running, planned)).rows)) {
    const [row] = await running.query(
      planned.names.database,
      planned.as('owner'),
      `select md5(coalesce(string_agg(md5(r::text), '' order by md5(r::text)), '')) as hash from ${name} r`
    )
    hashes[name] = String(row?.['hash'])
  }
  return hashes
}

/** As anybody would who has an archive and no saasctl. */
async function byPgRestore({ server }: RunningPostgres, { names, as }: Planned, bytes: Buffer): Promise<void> {
  const folder = await mkdtemp(join(scratch, 'saasctl-archive.'))
  try {
    const file = join(folder, 'archive')
    await writeFile(file, bytes)
    const { login, password } = as('owner')
    const args = ['-1', '-O', '-x', '-h', server.host, '-p', String(server.port)]
    await promisify(execFile)('pg_restore', [...args, '-U', login, '-d', names.database, file], {
      env: { PATH: process.env['PATH'], PGPASSWORD: password.reveal() }
    })
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
