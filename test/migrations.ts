import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { packageFolder } from '../src/config.js'
import { doctor } from '../src/doctor/doctor.js'
import { loadMigrations } from '../src/engines/migration-files.js'
import { lint } from '../src/engines/postgres/lint/lint.js'
import type { SaasctlError } from '../src/errors.js'
import { checkMigrations, type MigrationFinding } from '../src/migrations/check.js'
import { withoutDown } from '../src/migrations/check-files.js'
import { newMigration } from '../src/migrations/new.js'
import { nextPrefix } from '../src/migrations/numbering.js'
import { createTenant } from '../src/tenants/create.js'
import { controlPlane } from './support/control-plane.js'
import { asSuperuser, postgresBinaries } from './support/servers.js'

const folder = await mkdtemp(join(tmpdir(), 'saasctl-migrations.'))
t.teardown(() => rm(folder, { recursive: true, force: true }))
let folders = 0
async function files(texts: Record<string, string>): Promise<string> {
  folders += 1
  const made = join(folder, String(folders))
  await mkdir(made)
  for (const [name, text] of Object.entries(texts)) await writeFile(join(made, name), text)
  return made
}

t.test('a new migration goes on in the folder’s own numbers', async t => {
  const now = Date.UTC(2026, 4, 1, 12, 30, 5, 42)
  const expected: Array<[string[], string]> = [
    [[], '0001_'],
    [['0009_nine.sql', '0002_two.sql'], '0010_'],
    [['9.sql', '10-ten.sql'], '11-'],
    [['000999_x.sql'], '001000_'],
    [['1700000000000_a.sql'], '1777638605042_'],
    [['1999999999999_from-the-future.sql'], '2000000000000_'],
    [['20240101000000000_utc.sql'], '20260501123005042_'],
    [['20240101000000_seconds.sql'], '20260501123005_'],
    [['20991231235959_later.sql'], '21000101000000_'],
    [['readme.md', '0003_three.sql'], '0004_']
  ]
  for (const [present, prefix] of expected) t.equal(nextPrefix(present, now), prefix, `after ${present.at(-1)}`)
})

t.test('a new migration has one number and name in every folder, and parses', async t => {
  const [one, two] = [await files({ '0001_a.sql': 'select 1;' }), join(folder, 'none-yet')]
  const { name, files: made } = await newMigration([one, two, one], '  Add phone: customers! ')
  t.equal(name, '0002_add_phone_customers')
  t.same(made, [join(one, `${name}.sql`), join(two, `${name}.sql`)])
  t.match((await loadMigrations(two))[0], { name, up: /^-- Up Migration/, down: /-- Down Migration/ })
  t.equal((await newMigration([one, two], 'next')).name, '0003_next')
})

t.test('where one of the files cannot be made, none is; a name that says nothing is refused', async t => {
  const one = await files({})
  const two = join(await files({ file: '' }), 'file')
  await t.rejects(newMigration([one, two], 'x'), { code: 'FAILED' })
  t.same(await readdir(one), [])
  for (const name of ['', '../..', 'é', 'x'.repeat(101)]) {
    await t.rejects(newMigration([one], name), { code: 'INVALID_INPUT' }, name)
  }
})

t.test('whatever it is called, a new migration lands in its folder and parses, or is refused', async t => {
  await fc.assert(
    fc.asyncProperty(fc.string({ unit: 'grapheme', maxLength: 40 }), async name => {
      const one = await files({ '0001_a.sql': 'select 1;' })
      const outcome = await newMigration([one], name).catch((error: SaasctlError) => error.code)
      if (outcome === 'INVALID_INPUT') return (await readdir(one)).length === 1
      return (await loadMigrations(one)).length === 2
    }),
    { numRuns: 40 }
  )
  t.pass()
})

/** Code and line of what the linter says about the last of these files. */
async function linted(...texts: string[]): Promise<string[]> {
  const named = Object.fromEntries(texts.map((text, index) => [`000${index}_x.sql`, text]))
  const found = await lint(await loadMigrations(await files(named)))
  const last = `000${texts.length - 1}_x.sql`
  return found
    .filter(({ file, code }) => file === last && code !== 'down.absent')
    .map(({ code, line }) => `${code}:${line}`)
}

t.test('what locks, rewrites or breaks is named with its line', async t => {
  const bad: Array<[string, string]> = [
    ['create index on people (name);', 'index.blocking:1'],
    ['create unique index if not exists "people by name" on public.people (name);', 'index.blocking:1'],
    ['create index concurrently on people (name);', 'index.transaction:1'],
    ['drop index concurrently people_name;', 'index.transaction:1'],
    ['drop table if exists people;', 'contract.drop:1'],
    ['alter table people drop column name;', 'contract.drop:1'],
    ['alter table only people\n  add x int,\n  drop if exists "name" cascade;', 'contract.drop:3'],
    ['alter table people rename to humans;', 'contract.rename:1'],
    ['alter table people rename name to label;', 'contract.rename:1'],
    ['alter table people alter name type text;', 'column.type:1'],
    ['alter table people alter column name set data type numeric(10, 2) using name::numeric;', 'column.type:1'],
    ['alter table people alter column name set not null;', 'column.not-null:1'],
    ['alter table people add column age int not null;', 'column.required:1'],
    ['alter table people add key uuid default gen_random_uuid();', 'column.rewrite:1'],
    ['alter table people add column seen timestamptz not null default clock_timestamp();', 'column.rewrite:1'],
    ['alter table people add column n bigserial;', 'column.rewrite:1'],
    ['alter table people add column n int generated always as identity;', 'column.rewrite:1'],
    ['alter table people add total int generated always as (a + b) stored;', 'column.rewrite:1'],
    ['alter table people add constraint old check (age > 17);', 'constraint.scan:1'],
    ['alter table people add foreign key (boss) references people (id);', 'constraint.scan:1'],
    ['alter table people add unique (name);', 'constraint.index:1'],
    ['alter table people add primary key (id);', 'constraint.index:1'],
    ['alter table people set unlogged;', 'table.rewrite:1'],
    ['cluster people using people_name;', 'table.rewrite:1'],
    [
      'alter table people add constraint c check (a > 0) not valid;\n-- then\nalter table people validate constraint c;',
      'constraint.validate:3'
    ],
    ['select 1;\n\n/* a\nb */ create index on people (name);', 'index.blocking:4'],
    ["select 'größer als €';\n\ncreate index on people (name);", 'index.blocking:3'],
    ["select 'größer\nals €';\n-- ü\nselct 1;", 'syntax:4'],
    ['create table people (id int,\n  name text,\n);', 'syntax:3'],
    ['alter table people add n int default 1, add m int default (random() * 10)::int;', 'column.rewrite:1'],
    ['alter table people add boss int default 1 references people (id);', 'constraint.scan:1'],
    ['alter table people add code text unique;', 'constraint.index:1'],
    ['alter table people add age int check (age > 0);', 'constraint.scan:1'],
    ['alter table people add exclude using gist (seen with &&);', 'constraint.index:1'],
    ['-- saasctl: transaction=false\nvacuum full people;', 'table.rewrite:2'],
    ['vacuum people;', 'statement.transaction:1'],
    ['reindex table people;', 'index.blocking:1'],
    ['drop table "People", public.pets;', 'contract.drop:1'],
    ['alter table people set schema old;', 'contract.rename:1'],
    ['alter system set work_mem = 1;', 'server.setting:1'],
    ['create role root;', 'server.role:1'],
    ['grant pg_read_all_data to people_owner;', 'server.role:1'],
    ['alter role people_owner set search_path = x;', 'server.role:1'],
    ["copy people from '/etc/passwd';", 'server.file:1'],
    ["copy people from program 'id';", 'server.file:1'],
    ['create extension pgcrypto;', 'server.extension:1'],
    ["create function f() returns int language sql\n  security definer as 'select 1';", 'function.search-path:1'],
    ['alter function f() security definer;', 'function.search-path:1'],
    ['-- Up Migration\nselect 1; create index on people (name);', 'index.blocking:2']
  ]
  for (const [text, expected] of bad) t.same(await linted(text), [expected], text)
})

t.test('what is harmless is not named', async t => {
  const good = [
    'create table people (id int primary key, name text);\ncreate index on people (name);\nalter table people add age int not null;',
    'create table "people" (id int);\nalter table public.people alter id set not null, add unique (id);',
    '-- saasctl: transaction=false\ncreate index concurrently if not exists people_name on people (name);',
    '-- saasctl: phase=contract\nalter table people drop column name;\ndrop table old_people;',
    'alter table people add column seen timestamptz not null default now();',
    "alter table people add column age int, add column note text default 'x, not null';",
    'alter table people add constraint old check (age > 17) not valid;',
    'alter table people add constraint named unique using index people_name;',
    'alter table people drop constraint old, alter name drop not null, alter name set default 1;',
    'alter table people rename constraint a to b;',
    'alter table people alter column type_of_thing set default 1;',
    'create index on only people (name);',
    "create function f() returns int language sql security definer set search_path = public, pg_temp as 'select 1';",
    'alter table people add boss int references people (id);',
    'alter table people add total int generated always as (a + b) virtual;',
    "do $$ begin execute format('grant select on people to %I', current_setting('saasctl.app_role')); end $$;",
    'grant select on people to readers;',
    '-- saasctl: transaction=false\nvacuum people;\nreindex table concurrently people;',
    "comment on table people is 'create index on people (name);\ndrop table people;';",
    '-- create index on people (name);\n/* drop table people; */ select 1;',
    '-- statement\ncreate function f() returns void language plpgsql as $$ begin\n  drop table people;\nend $$;\n-- statement',
    '-- statement\ncreate function f() returns int begin atomic\n  select 1;\n  select 2;\nend;\n-- statement',
    '-- Up Migration\n-- lint-allow: index.blocking, contract.drop\ncreate index on people (name);\ndrop table people;',
    '-- Up Migration\nselect 1;\n-- Down Migration\ndrop table people;'
  ]
  for (const text of good) t.same(await linted(text), [], text)
})

t.test('NOT NULL is harmless behind a check of an earlier file', async t => {
  const check = 'alter table people add constraint c check (name is not null) not valid;'
  t.same(await linted(check, 'alter table people alter column name set not null;'), [])
  t.same(await linted(check, 'alter table people alter column age set not null;'), ['column.not-null:1'])
  t.same(await linted(check, 'alter table pets alter column name set not null;'), ['column.not-null:1'])
})

t.test('a file that cannot be taken back is named', async t => {
  const found = withoutDown(await loadMigrations(await files({ '1_x.sql': 'select 1;' })))
  t.match(found, [{ level: 'warning', code: 'down.absent', file: '1_x.sql' }])
})

const skip = (await postgresBinaries()).length === 0 && 'NO POSTGRESQL HERE'

t.test('on a real server', { skip }, async t => {
  const templates = join(folder, 'tenant-templates')
  const migrations = join(folder, 'tenant-migrations/postgres')
  await cp(join(packageFolder, 'tenant-templates'), templates, { recursive: true })
  await cp(join(packageFolder, 'tenant-migrations'), join(folder, 'tenant-migrations'), { recursive: true })
  const plane = await controlPlane({ env: { SAASCTL_TEMPLATES: templates } })
  t.teardown(() => plane.close())
  const { saasctl } = plane

  const check = async () => (await checkMigrations(saasctl, 'standard')).findings
  const errors = async () => (await check()).filter(({ level }) => level === 'error')
  const ours = () =>
    asSuperuser(plane.server, async client => {
      const { rows } = await client.query(
        `select datname as name from pg_database where datname ~ '^t[0-7].{25}$'
         union all select rolname from pg_roles where rolname ~ '^t[0-7].{25}'`
      )
      return rows
    })

  /** With one more file, which is gone again afterwards. */
  async function withFile(name: string, text: string, look: (found: MigrationFinding[]) => void): Promise<void> {
    await writeFile(join(migrations, name), text)
    try {
      look(await errors())
    } finally {
      await rm(join(migrations, name))
    }
    t.same(await ours(), [], `nothing of the scratch database stays behind ${name}`)
  }

  await t.test('the example product goes up, down and up again, and nothing of it stays', async t => {
    const found = await check()
    t.same(
      found.filter(({ level }) => level === 'error'),
      []
    )
    const ran = found.filter(({ code }) => code.startsWith('run'))
    t.match(ran, [
      { level: 'ok', code: 'run', engine: 'postgres' },
      { level: 'warning', code: 'run.skipped', engine: 'mysql' }
    ])
    t.same(await ours(), [])
    t.same(
      await saasctl.catalog.query('select from saasctl.template'),
      [],
      'and the catalog did not learn of a template'
    )
  })

  await t.test('a down part that leaves something is found', async t => {
    const left =
      '-- Up Migration\ncreate table a (id int);\ncreate table b (id int);\n-- Down Migration\ndrop table a;\n'
    await withFile('0900_left.sql', left, found => {
      t.match(found[0], { code: 'down.differs', file: /0900_left\.sql$/ })
    })
  })

  await t.test('a file that fails is named, whichever way it was going', async t => {
    await withFile('0900_bad.sql', '-- Up Migration\nselect 1;\nselect no_such_thing;\n-- Down Migration\n', found => {
      t.match(found, [{ code: 'up', file: /0900_bad\.sql$/, message: /0900_bad:3/ }])
    })
    await withFile(
      '0900_bad.sql',
      '-- Up Migration\nselect 1;\n-- Down Migration\ndrop table no_such_table;\n',
      found => {
        t.match(found, [{ code: 'down', file: /0900_bad\.sql$/ }])
      }
    )
    const twice = '-- Up Migration\ncreate table again (id int);\n-- Down Migration\nselect 1;\n'
    await withFile('0900_bad.sql', twice, found => {
      t.match(found, [
        { code: 'down.differs', file: /0900_bad\.sql$/ },
        { code: 'up.again', file: /0900_bad\.sql$/ }
      ])
    })
  })

  await t.test('a down part that cannot cope with rows is found, because the seeds were there', async t => {
    const rows = '-- Up Migration\nselect 1;\n-- Down Migration\nalter table settings add column x int not null;\n'
    await withFile('0900_rows.sql', rows, found => t.match(found, [{ code: 'down', message: /null/ }]))
  })

  await t.test('a seed that cannot run a second time is found', async t => {
    const seed = join(templates, 'standard/seed.postgres.sql')
    const before = await readFile(seed, 'utf8')
    await writeFile(seed, `${before}\ninsert into settings (name, value) values ('once', '1');\n`)
    t.match(await errors(), [{ code: 'seed', file: /seed\.postgres\.sql$/ }])
    await writeFile(seed, before)
    t.same(await ours(), [])
  })

  await t.test('unreadable files are all named, and nothing is run', async t => {
    await withFile('0900_broken.sql', '-- Down Migration\nselect 1;\n', found => {
      t.match(found, [{ code: 'file.unreadable', file: /0900_broken\.sql$/, line: 1 }])
    })
  })

  await t.test('what kill -9 left of a check is cleared away by doctor', async t => {
    const at = (path: string) => JSON.stringify(new URL(path, import.meta.url).href)
    const program = `
      import { open } from ${at('../src/saasctl.js')}
      import { loadConfig } from ${at('../src/config.js')}
      import { checkMigrations } from ${at('../src/migrations/check.js')}
      await checkMigrations(await open(loadConfig()), 'standard')
    `
    for (const moment of ['make logins:acted', 'up and down and up:acted', 'drop database:acted']) {
      const env = { ...plane.env, SAASCTL_FAILPOINT: `migration.check/${moment}` }
      const child = spawn(process.execPath, ['--input-type=module', '-e', program], { env, stdio: 'inherit' })
      t.same(await once(child, 'exit'), [null, 'SIGKILL'])
      t.not((await ours()).length, 0)
      while ((await doctor(saasctl, { fix: true })).findings.every(({ code }) => code !== 'operation.orphaned')) {
        t.notOk((await doctor(saasctl, { fix: false })).findings.some(({ code }) => code === 'database.unknown'))
      }
      t.same(await ours(), [], moment)
    }
  })

  await t.test('a file that was edited after it was applied is an error', async t => {
    await createTenant(saasctl, { slug: 'acme' }, { template: 'standard' }, { wait: true })
    const file = join(migrations, '0002_users.sql')
    await writeFile(file, `${await readFile(file, 'utf8')}\n-- edited\n`)
    t.match(await errors(), [{ code: 'file.edited', file: /0002_users\.sql$/ }])
  })

  await t.test('an unknown server or template is refused', async t => {
    await t.rejects(checkMigrations(saasctl, 'standard', { server: 'nowhere' }), { code: 'SERVER_NOT_FOUND' })
    await t.rejects(checkMigrations(saasctl, 'nothing'), { code: 'TEMPLATE_NOT_FOUND' })
  })

  await t.test('without a server the files are still checked, and it is said that they were not run', async t => {
    await saasctl.catalog.query(`update saasctl.server set status = 'cordoned'`)
    const found = await check()
    t.match(found.at(-1), { level: 'warning', code: 'run.skipped' })
    t.ok(found.some(({ code }) => code === 'file.edited'))
  })
})
