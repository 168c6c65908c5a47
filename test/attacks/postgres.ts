import pg from 'pg'
import t, { type Test } from 'tap'
import { type LoginRole, loginRoles } from '../../src/engines/engine.js'
import { file, type RunningPostgres, startPostgres } from '../support/postgres-engine.js'
import {
  drop,
  fence,
  inside,
  limits,
  make,
  makeTemplate,
  migrate,
  type Planned,
  plan
} from '../support/real-engines.js'
import { postgresBinaries, skipWithoutPostgres } from '../support/servers.js'

/**
 * The P rows of SECURITY.md, with the grants as the only wall: pg_hba.conf lets every login knock at every database.
 * Tenant B attacks tenant A, the server and the control plane. What cannot be prevented is pinned as it is.
 */
if (!(await skipWithoutPostgres(t))) {
  for (const binaries of await postgresBinaries()) {
    t.test(`PostgreSQL ${binaries.version}`, async t => {
      const running = await startPostgres({ binaries })
      t.teardown(() => running.stop())
      const a = await make(running)
      const b = await make(running)
      for (const tenant of [a, b]) await migrate(running, tenant, [running.sql.notes])
      await running.query(a.names.database, a.as('app_a'), `insert into notes (body) values ('canary')`)
      const scene: Scene = { running, a, b }
      t.test('every login at every database', t => matrix(t, scene))
      t.test('refused statements', t => refused(t, scene))
      t.test('what others may see', t => visible(t, scene))
      t.test('what a tenant may do to itself', t => itself(t, scene))
      t.test('while databases are made', t => making(t, scene))
      t.test('traps for the control plane', t => traps(t, scene))
    })

    t.test(`PostgreSQL ${binaries.version} with samerole in pg_hba.conf`, t => samerole(t, binaries))
  }
}

interface Scene {
  running: RunningPostgres
  a: Planned
  b: Planned
}

/** P1, P2: who gets in where, and what each verb does there. */
async function matrix(t: Test, { running, a, b }: Scene) {
  const verbs = [
    'select 1',
    'select body from notes',
    `insert into notes (body) values ('x')`,
    `update notes set body = 'x' where false`,
    'delete from notes where false',
    'create table stolen (id int)'
  ]
  const may: Record<LoginRole, number> = { owner: 6, app_a: 5, app_b: 5, readonly: 2 }
  for (const login of [a, b]) {
    for (const role of loginRoles) {
      for (const target of [a, b]) {
        const name = `${role} of ${login === a ? 'A' : 'B'} at ${target === a ? 'A' : 'B'}`
        let done = 0
        for (const verb of verbs) {
          await running.query(target.names.database, login.as(role), `begin; ${verb}; rollback`).then(
            () => (done += 1),
            () => undefined
          )
        }
        t.equal(done, login === target ? may[role] : 0, name)
      }
      for (const database of ['postgres', 'template1', 'template0']) {
        await t.rejects(running.query(database, login.as(role), 'select 1'), `${role} at ${database}`)
      }
    }
  }
  const control = running.access.control
  await t.rejects(running.query(a.names.database, control, 'select * from notes'), 'control reads no tenant’s table')
}

/** Each as B's logins in B's own database; `as` narrows to those for whom it must fail. */
const everybody: LoginRole[] = [...loginRoles]
const notOwner: LoginRole[] = ['app_a', 'app_b', 'readonly']

interface Attack {
  row: string
  wants: string
  as: LoginRole[]
  sql: (scene: Scene) => string[]
}

const attacks: Attack[] = [
  {
    row: 'P6',
    wants: 'the size of A',
    as: everybody,
    sql: ({ a }) => [`select pg_database_size('${a.names.database}')`]
  },
  {
    row: 'P8',
    wants: 'power over its own database',
    as: everybody,
    sql: ({ b }) => [
      `drop database ${b.names.database}`,
      `alter database ${b.names.database} connection limit 0`,
      `alter database ${b.names.database} connection limit -1`,
      `alter database ${b.names.database} set statement_timeout = 0`,
      `alter database ${b.names.database} rename to mine`,
      `alter database ${b.names.database} owner to ${b.names.logins.owner}`,
      `alter database ${b.names.database} allow_connections false`
    ]
  },
  { row: 'P12', wants: 'unbounded temporary files', as: everybody, sql: () => ['set temp_file_limit = -1'] },
  {
    row: 'P14',
    wants: 'to become somebody else',
    as: everybody,
    sql: ({ running, a }) =>
      [
        a.names.members,
        a.names.app,
        ...Object.values(a.names.logins),
        running.access.control.login,
        'postgres'
      ].flatMap(role => [`set role ${role}`, `set session authorization ${role}`])
  },
  {
    row: 'P14',
    wants: 'to become its own owner',
    as: notOwner,
    sql: ({ b }) => [`set role ${b.names.logins.owner}`, `set role none; set role ${b.names.logins.owner}`]
  },
  {
    row: 'P14',
    wants: 'to give itself away',
    as: everybody,
    sql: ({ a, b }) => Object.values(b.names.logins).map(login => `set role none; grant ${login} to ${a.names.app}`)
  },
  {
    row: 'P15',
    wants: 'the end of A’s sessions',
    as: everybody,
    sql: ({ a }) =>
      ['pg_terminate_backend', 'pg_cancel_backend'].map(
        end => `select ${end}(pid) from pg_stat_activity where datname = '${a.names.database}'`
      )
  },
  {
    row: 'P16',
    wants: 'files and programs of the server',
    as: everybody,
    sql: () => [
      `copy (select 1) to program 'id'`,
      `copy (select 1) to '/tmp/x'`,
      `create temp table t (x text); copy t from '/etc/passwd'`,
      `select pg_read_file('postgresql.conf')`,
      `select pg_read_binary_file('postgresql.conf')`,
      `select pg_ls_dir('.')`,
      `select lo_import('/etc/passwd')`,
      `select lo_export(1, '/tmp/x')`,
      'select * from pg_hba_file_rules',
      'select * from pg_authid',
      'select pg_reload_conf()'
    ]
  },
  {
    row: 'P17',
    wants: 'ways to other servers and to files',
    as: everybody,
    sql: () => ['dblink', 'postgres_fdw', 'file_fdw', 'adminpack', 'plpython3u'].map(name => `create extension ${name}`)
  },
  {
    row: 'P18',
    wants: 'trusted extensions',
    as: notOwner,
    sql: () => ['create extension pgcrypto', 'create schema s']
  },
  {
    row: 'P19',
    wants: 'objects of the whole server',
    as: everybody,
    sql: ({ b }) => [
      `create subscription s connection 'dbname=postgres' publication p`,
      'create event trigger e on ddl_command_start execute function f()',
      `create tablespace s location '/tmp'`,
      'create role mine',
      'create database mine',
      `alter role ${b.names.logins.app_a} superuser`,
      `alter role ${b.names.logins.app_a} createdb`,
      `alter role ${b.names.logins.app_a} connection limit -1`,
      'alter system set fsync = off',
      `load 'auto_explain'`,
      'checkpoint',
      `create function f() returns int language c as 'x'`,
      `create function f() returns int language internal as 'x'`
    ]
  },
  {
    row: 'P24',
    wants: 'functions that shadow those of others',
    as: notOwner,
    sql: () => [
      'create function public.now() returns int language sql as $$ select 1 $$',
      'create temp table notes (id int)'
    ]
  },
  {
    row: 'P27',
    wants: 'a transaction that outlives its session',
    as: everybody,
    sql: () => [`begin; prepare transaction 'x'`]
  }
]

async function refused(t: Test, scene: Scene) {
  const { running, a, b } = scene
  const live = await running.hold(a.names.database, a.as('app_a'))
  t.teardown(() => live.close())
  for (const { row, wants, as, sql } of attacks) {
    t.test(`${row}: ${wants}`, async t => {
      for (const role of as) {
        for (const statement of sql(scene)) {
          await t.rejects(running.query(b.names.database, b.as(role), statement), `${role}: ${statement}`)
        }
      }
      t.ok(await live.query('select 1'), 'A does not notice')
    })
  }

  t.test('P8, P14: grants that are not one’s own to give change nothing', async t => {
    const stranger = await running.stranger()
    const tries = [
      `grant connect on database ${b.names.database} to public`,
      `grant all on database ${b.names.database} to ${stranger.login}`,
      `grant ${b.names.members} to ${stranger.login}`,
      `grant ${b.names.app} to ${stranger.login}`
    ]
    for (const role of everybody) {
      for (const statement of tries) await running.query(b.names.database, b.as(role), statement).catch(() => undefined)
    }
    await t.rejects(running.query(b.names.database, stranger, 'select 1'))
  })
}

async function visible(t: Test, { running, a, b }: Scene) {
  const ask = (sql: string) => running.query(b.names.database, b.as('app_a'), sql)

  t.test('P5: other databases and roles are listed, by names that say nothing, without comments', async t => {
    const names = (await ask(`select datname as name from pg_database where datname ~ '^t.{26}$'`)).map(
      ({ name }) => name
    )
    t.ok(names.includes(a.names.database), 'cannot be hidden')
    t.ok(names.every(name => /^t[0-7][0-9a-hjkmnp-tv-z]{25}$/.test(String(name))))
    t.strictSame(
      await ask(`select description from pg_shdescription d where exists
        (select from pg_database where oid = d.objoid and datname ~ '^t.{26}$') or exists
        (select from pg_roles where oid = d.objoid and rolname ~ '^t.{26}')`),
      []
    )
  })

  t.test('P6: how busy A is can be seen in pg_stat_database', async t => {
    const rows = await ask(`select xact_commit from pg_stat_database where datname = '${a.names.database}'`)
    t.equal(rows.length, 1)
  })

  t.test('P7: A’s sessions are listed, without what they run', async t => {
    const live = await running.hold(a.names.database, a.as('app_a'))
    t.teardown(() => live.close())
    await live.query(`select 'canary'`)
    const rows = await ask(`select * from pg_stat_activity where datname = '${a.names.database}'`)
    t.match(rows, [{ query: '<insufficient privilege>', client_addr: null }])
    t.notMatch(JSON.stringify(rows), 'canary')
  })

  t.test('P9: no verifier can be read, by anybody but a superuser', async t => {
    for (const catalog of ['pg_authid', 'pg_shadow']) await t.rejects(ask(`select * from ${catalog}`))
    t.strictSame(await ask(`select distinct rolpassword from pg_roles`), [{ rolpassword: '********' }])
  })
}

async function itself(t: Test, { running, b }: Scene) {
  const app = (sql: string) => running.query(b.names.database, b.as('app_a'), sql)
  const heal = async () => {
    const session = await running.engine.enter(running.access, fence())
    await session.makeLogins({ names: b.names, passwords: b.passwords, limits })
    await session.setLimits(b.names, limits)
    await session.end()
  }

  t.test('P9: a login may change its own password; setting it again heals that', async t => {
    await app(`set role none; alter role ${b.names.logins.app_a} password 'its-own'`)
    await t.rejects(app('select 1'))
    await heal()
    t.ok(await app('select 1'))
  })

  t.test('P10: timeouts are advice, and setting the limits again heals what a login kept', async t => {
    t.match(await app('set statement_timeout = 0; show statement_timeout'), [{ statement_timeout: '0' }])
    await app(
      `set role none; alter role ${b.names.logins.app_a} in database ${b.names.database} reset statement_timeout`
    )
    t.match(await app('show statement_timeout'), [{ statement_timeout: '0' }])
    await heal()
    t.match(await app('show statement_timeout'), [{ statement_timeout: '30s' }])
  })

  t.test('P10: a login that throws its settings away has no more rights than before', async t => {
    await app(`set role none; alter role ${b.names.logins.app_a} reset all`)
    t.match(await app('select current_user::text as name'), [{ name: b.names.logins.app_a }])
    for (const statement of running.sql.forbiddenToApp(b.names.database)) await t.rejects(app(statement), statement)
    await heal()
    t.match(await app('select current_user::text as name'), [{ name: b.names.app }])
  })

  t.test('P11: memory per query cannot be bounded by the server', async t => {
    t.match(await app(`set work_mem = '8GB'; show work_mem`), [{ work_mem: '8GB' }])
  })

  t.test('P13: a tenant takes its own connections and nobody else’s', async t => {
    const held = await Promise.allSettled(
      Array.from({ length: 30 }, () => running.hold(b.names.database, b.as('app_a')))
    )
    const open = held.filter(result => result.status === 'fulfilled')
    t.equal(open.length, limits.connections)
    for (const { value } of open) await value.close()
  })

  t.test('P18: the owner, who is the control plane, may install trusted extensions', async t => {
    await t.resolves(
      running.query(b.names.database, b.as('owner'), 'create extension pgcrypto; drop extension pgcrypto')
    )
  })
}

async function making(t: Test, { running }: Scene) {
  t.test('P3: a session in template1 stops nobody', async t => {
    const blocker = running.admin('select pg_sleep(1)', 'template1')
    const made = await make(running)
    t.match(await running.engine.state(running.access, made.names), { database: 'open' })
    await drop(running, made)
    await blocker
  })

  t.test('P4: no login of the public gets in at any moment of the making', async t => {
    const stranger = await running.stranger()
    const template = await makeTemplate(running, [running.sql.notes])
    t.teardown(() => drop(running, template))
    let target = ''
    let going = true
    let tries = 0
    let successes = 0
    const knocker = async () => {
      while (going) {
        tries += 1
        await running.query(target || 'postgres', stranger, 'select 1').then(
          () => (successes += 1),
          () => undefined
        )
      }
    }
    const knocking = [knocker(), knocker(), knocker()]
    for (const from of [undefined, template, undefined, template]) {
      const planned = plan(running.engine)
      target = planned.names.database
      await make(running, from, planned)
      await drop(running, planned)
    }
    going = false
    await Promise.all(knocking)
    t.equal(successes, 0)
    t.ok(tries > 50, `${tries} tries`)
  })

  t.test('P25: what is planted in template1 reaches no tenant', async t => {
    await running.admin('create table planted (id int)', 'template1')
    t.teardown(() => running.admin('drop table planted', 'template1'))
    const made = await make(running)
    t.teardown(() => drop(running, made))
    await t.rejects(running.query(made.names.database, made.as('owner'), 'select * from planted'), /does not exist/)
  })

  t.test('P23: names that look like statements stay names when a copy changes hands', async t => {
    const names = [`x"; drop table notes; --`, 'x\n\\! id', '$$', `'; select 1; '`, 'a.b'].map(name =>
      pg.escapeIdentifier(name)
    )
    const grant = (name: string) => `grant update (${name}) on ${name}.${name} to %I`
    const evil = file(
      '2_evil',
      names
        .map(
          name => `create schema ${name};
            create table ${name}.${name} (${name} int);
            create function ${name}.${name}() returns int language sql as 'select 1';
            create domain ${name}.${name.replace(/"$/, '_d"')} as int;
            do $do$ begin
              execute format(${pg.escapeLiteral(grant(name))}, current_setting('saasctl.readonly_role'));
            end $do$;`
        )
        .join('\n')
    )
    const template = await makeTemplate(running, [running.sql.notes, evil])
    t.teardown(() => drop(running, template))
    const copy = await make(running, template)
    t.teardown(() => drop(running, copy))
    for (const name of names) {
      await running.query(copy.names.database, copy.as('app_a'), `insert into ${name}.${name} values (1)`)
      await running.query(copy.names.database, copy.as('readonly'), `update ${name}.${name} set ${name} = 2`)
    }
    t.ok(await running.query(copy.names.database, copy.as('app_a'), 'select * from notes'))
  })
}

/** P20, P21, P22, P24: a migration is the tenant's code too. Whatever it plants, it runs as the tenant's owner and no more. */
async function traps(t: Test, { running }: Scene) {
  const { engine, access, sql } = running
  const victim = await make(running)
  t.teardown(() => drop(running, victim))
  await migrate(running, victim, [sql.notes])
  const login = victim.names.logins.app_a
  const trap = `
    create table public.caught (who text, what text);
    create function public.pwn(what text) returns int language plpgsql volatile as $$
    declare statement text;
    begin
      insert into public.caught values (session_user || ' as ' || current_user, what);
      foreach statement in array array['alter role ${login} superuser', 'alter role ${login} createrole',
        'grant pg_read_all_data to ${login}', 'reset role; alter role ${login} superuser',
        'set session authorization default; alter role ${login} superuser']
      loop
        begin execute statement; exception when others then null; end;
      end loop;
      return 1;
    end $$;
    create function public.pwn_calm(n int) returns int language sql immutable as $$ select public.pwn('index') $$;
    create view public.tempting as select public.pwn('view') as n;
    create index on notes (public.pwn_calm(id));
    create function public.trap() returns trigger language plpgsql as $$ begin perform public.pwn(tg_table_name); return new; end $$;
    create trigger trap before insert or update or delete on saasctl.pgmigrations for each row execute function public.trap();
    create trigger trap before insert or update or delete on saasctl.identity for each row execute function public.trap();
    create function public.now() returns timestamptz language sql as $$ select public.pwn('now'); select '2000-01-01'::timestamptz $$;
    create function public.format(text, variadic text[]) returns text language sql as $$ select public.pwn('format'); select '' $$;
    create function public.same(name, name) returns bool language sql as $$ select public.pwn('=') > 0 $$;
    create operator public.= (leftarg = name, rightarg = name, function = public.same);
    create materialized view public.counted as select public.pwn('matview') as n;
    alter table notes enable row level security;
    create policy p on notes using (public.pwn('policy') > 0);
    delete from public.caught;`
  await migrate(running, victim, [file('2_trap', trap)])
  const powers = `select rolname, rolsuper, rolcreaterole, rolcreatedb,
    array(select roleid::regrole::text from pg_auth_members where member = r.oid order by 1) as groups
    from pg_roles r where rolname ~ '^t' order by 1`
  const before = await running.admin(powers)

  t.test('P20, P21: every act of the control plane springs the traps as the owner alone', async t => {
    await inside(running, victim, async owner => {
      await owner.applied()
      await owner.fingerprint()
      await owner.bytes()
      await owner.apply(file('3_next', 'create table more (id int)', 'drop table more'), 'up', '2_trap')
      await owner.apply(file('3_next', '', 'drop table more'), 'down', '3_next')
      await owner.run('select * from tempting; analyze notes; refresh materialized view counted; reindex table notes;')
    })
    for (const role of loginRoles) await engine.identify(access, victim.names.database, victim.as(role), victim.id)
    await engine.appliedMigrations(access, victim.names.database, victim.as('owner'))
    await engine.state(access, victim.names)
    await engine.inventory(access)
    await engine.check(access)
    const session = await engine.enter(access, fence())
    await session.furnishDatabase({ names: victim.names, databaseId: victim.id, owner: victim.as('owner') })
    await session.setLimits(victim.names, limits)
    await session.end()
    t.strictSame(await running.admin(powers), before, 'nobody gained anything')
    const caught = await running.query(
      victim.names.database,
      victim.as('owner'),
      'select distinct who from caught order by 1'
    )
    const owner = victim.names.logins.owner
    t.strictSame(caught, [{ who: `${owner} as ${owner}` }])
  })

  t.test('P24: names and operators of ours are not those in public', async t => {
    const called = await running.query(
      victim.names.database,
      victim.as('owner'),
      `select distinct what from caught where what in ('now', 'format', '=')`
    )
    t.strictSame(called, [])
  })

  t.test('P20: a copy of a trapped database changes hands without anybody gaining anything', async t => {
    const session = await engine.enter(access, fence())
    await session.sealDatabase(victim.names)
    const copy = await make(running, victim)
    t.teardown(() => drop(running, copy))
    await session.unsealDatabase(victim.names)
    await session.end()
    const rows = await running.query(copy.names.database, copy.as('owner'), 'select distinct who from caught')
    const ours = [...Object.values(victim.names.logins), ...Object.values(copy.names.logins)]
    for (const { who } of rows)
      t.ok(
        String(who)
          .split(' as ')
          .every(name => ours.includes(name)),
        String(who)
      )
    const [role] = await running.admin(`select rolsuper from pg_roles where rolname = '${login}'`)
    t.equal(role?.['rolsuper'], false)
    t.strictSame(
      (await engine.check(access)).filter(({ level }) => level === 'error'),
      []
    )
  })

  t.test('P26: a migration lock that one tenant holds stops no other', async t => {
    const other = await make(running)
    t.teardown(() => drop(running, other))
    const holder = await running.hold(victim.names.database, victim.as('app_a'))
    t.teardown(() => holder.close())
    await holder.query('select pg_advisory_lock(7241865325823964)')
    await migrate(running, other, [sql.notes])
    t.ok(await holder.query('select 1'), 'and is left alone meanwhile')
  })
}

async function samerole(t: Test, binaries: Parameters<typeof startPostgres>[0]['binaries']) {
  // Undefined is the embedded server's own pg_hba.conf.
  const running = await startPostgres({ binaries, hba: undefined })
  t.teardown(() => running.stop())
  const template = await makeTemplate(running, [running.sql.everything])
  const a = await make(running, template)
  const b = await make(running)
  const stranger = await running.stranger()

  t.test('P1, P2: nobody gets in elsewhere even after CONNECT was granted to the public again', async t => {
    await running.admin(`grant connect on database ${a.names.database} to public;
      grant connect on database postgres, template1 to public`)
    for (const login of [...loginRoles.map(role => b.as(role)), stranger]) {
      for (const database of [a.names.database, 'postgres', 'template1']) {
        await t.rejects(running.query(database, login, 'select 1'), /pg_hba/, `${login.login} at ${database}`)
      }
    }
    for (const role of loginRoles) t.ok(await running.query(a.names.database, a.as(role), 'select 1'))
  })

  t.test('P1: making the database open again takes the public’s right away', async t => {
    const session = await running.engine.enter(running.access, fence())
    t.teardown(() => session.end())
    await session.sealDatabase(a.names)
    await session.unsealDatabase(a.names)
    const doors = (await running.engine.check(running.access)).filter(({ code }) => code === 'doors.public')
    t.notMatch(JSON.stringify(doors), a.names.database)
  })

  t.test('P1: the check says that pg_hba.conf keeps tenants apart, once it may read it', async t => {
    const door = async () => (await running.engine.check(running.access)).find(({ code }) => code === 'doors.hba')
    const unknown = await door()
    t.match(unknown, { level: 'warning', fix: String })
    await running.admin(unknown?.fix ?? '')
    t.match(await door(), { level: 'ok' })
  })
}
