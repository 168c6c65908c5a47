import { randomBytes } from 'node:crypto'
import pg from 'pg'
import type { Credentials, MigrationFile } from '../../src/engines/engine.js'
import { PostgresEngine } from '../../src/engines/postgres/postgres.js'
import { Secret } from '../../src/secret.js'
import type { EngineSql, HeldConnection, RealEngine, RunningEngine } from './real-engines.js'
import {
  asSuperuser,
  controlLogin,
  postgresBinaries,
  startServer,
  type TestServer,
  type TestServerOptions
} from './servers.js'

type Rows = Array<Record<string, unknown>>

export async function postgresEngines(): Promise<RealEngine[]> {
  const found = await postgresBinaries()
  return found.map(binaries => ({
    title: `PostgreSQL ${binaries.version}`,
    start: () => startPostgres({ binaries })
  }))
}

/** With another pg_hba.conf than the embedded server's: there the grants alone must keep tenants apart. */
export const grantsOnly = 'local all all scram-sha-256\nhost all all 127.0.0.1/32 scram-sha-256\n'

export interface RunningPostgres extends RunningEngine {
  server: TestServer
}

export async function startPostgres(options: TestServerOptions): Promise<RunningPostgres> {
  const server = await startServer({ hba: grantsOnly, ...options })
  const control = await controlLogin(server)
  const engine = new PostgresEngine()
  const { host, port } = server
  const open = async (database: string, { login, password }: Credentials) => {
    const client = new pg.Client({ host, port, database, user: login, password: password.reveal() })
    client.on('error', () => {})
    await client.connect()
    return client
  }
  return {
    server,
    engine,
    access: {
      host,
      port,
      tls: { mode: 'disable' },
      maintenance: 'postgres',
      control: { login: control.login, password: new Secret(control.password) }
    },
    query: async (database, as, sql) => {
      const client = await open(database, as)
      try {
        return lastRows(await client.query(sql))
      } finally {
        await client.end()
      }
    },
    hold: async (database, as) => held(await open(database, as)),
    admin: (sql, database = 'postgres') =>
      asSuperuser(server, async client => lastRows(await client.query(sql)), database),
    stranger: async () => {
      const as = { login: `stranger_${randomBytes(4).toString('hex')}`, password: new Secret('somebody-elses') }
      await asSuperuser(server, client => client.query(`CREATE ROLE ${as.login} LOGIN PASSWORD 'somebody-elses'`))
      return as
    },
    sql,
    stop: async () => {
      await engine.close()
      await server.stop()
    },
    restart: () => server.restart(),
    kill: () => server.kill('SIGKILL')
  }
}

function held(client: pg.Client): HeldConnection {
  const ended = new Promise<void>(resolve => client.once('end', resolve))
  return {
    query: async sql => lastRows(await client.query(sql)),
    ended,
    close: () => client.end()
  }
}

function lastRows(result: pg.QueryResult | pg.QueryResult[]): Rows {
  return (Array.isArray(result) ? result.at(-1)?.rows : result.rows) ?? []
}

export function file(name: string, up: string, down: string | null = null, options = {}): MigrationFile {
  return {
    name,
    up,
    down,
    checksum: '',
    options: {
      transaction: true,
      lockTimeoutMs: 2_000,
      statementTimeoutMs: null,
      outOfOrder: false,
      phase: 'expand',
      ...options
    }
  }
}

const sql: EngineSql = {
  spare: 0,
  notes: file(
    '1_notes',
    'create table notes (id int generated always as identity primary key, body text not null);',
    'drop table notes;'
  ),
  notesPinned: file(
    '2_notes_pinned',
    'alter table notes add column pinned boolean not null default false;',
    'alter table notes drop column pinned;'
  ),
  broken: file('3_broken', 'create table half_made (id int);\n\ninsert into no_such_table values (1);\n'),
  useEverything: [
    `insert into plain (mood, price, secret) values ('sad', 3, 'x')`,
    `update plain set mood = 'glad'`,
    'select * from glad',
    'select * from counted',
    'insert into billing.bills (plain_id) select id from plain',
    `insert into parted values (1, '2024-01-01')`,
    `select nextval('standalone')`,
    'select plus_one(1), total(1)',
    `insert into mails values ('A@b.example')`,
    `select lo_get(4242)`,
    'delete from billing.bills'
  ],
  forbiddenToApp: () => [
    'create table t (id int)',
    'create temporary table t (id int)',
    'create schema s',
    'create function f() returns int language sql as $$ select 1 $$',
    'alter table notes add column c int',
    'drop table notes',
    'truncate notes',
    'create index on notes (body)',
    'create extension pgcrypto',
    `insert into saasctl.identity (database_id) values (gen_random_uuid())`,
    'delete from saasctl.identity',
    'select * from saasctl.pgmigrations',
    `insert into saasctl.pgmigrations (name, run_on) values ('x', now())`
  ],
  forbiddenToReadonly: () => [
    `insert into notes (body) values ('x')`,
    `update notes set body = 'x'`,
    'delete from notes',
    'create table t (id int)',
    `select nextval('notes_id_seq')`
  ],
  everything: file(
    '5_everything',
    `
    create schema billing;
    create type mood as enum ('glad', 'sad');
    create domain price as numeric check (value >= 0);
    create type pair as (a int, b text);
    create table plain (id serial primary key, mood mood default 'glad', price price, secret text, shown text);
    revoke select on plain from public;
    create table parted (id int, day date) partition by range (day);
    create table parted_1 partition of parted for values from ('2020-01-01') to ('2030-01-01');
    create table billing.bills (id bigint generated always as identity, plain_id int references plain (id));
    create sequence standalone;
    create view glad as select id from plain where mood = 'glad';
    create materialized view counted as select count(*) as n from plain;
    create function plus_one(n int) returns int language sql immutable as $$ select n + 1 $$;
    create procedure nothing() language plpgsql as $$ begin end $$;
    create aggregate total (int) (sfunc = int4pl, stype = int, initcond = '0');
    create function touch() returns trigger language plpgsql as $$ begin new.shown := 'touched'; return new; end $$;
    create trigger touch before update on plain for each row execute function touch();
    create collation plainly (provider = libc, locale = 'C');
    create operator === (leftarg = int, rightarg = int, function = int4eq);
    create text search configuration words (copy = simple);
    create statistics both_of_plain (dependencies) on id, mood from plain;
    create publication news for table plain;
    create extension citext;
    create table mails (address citext);
    select lo_from_bytea(4242, 'large');
    alter table plain enable row level security;
    do $$ declare app text := current_setting('saasctl.app_role'); ro text := current_setting('saasctl.readonly_role'); begin
      execute format('create policy own_rows on plain to %I using (true)', app);
      execute format('create policy all_rows on plain for select to %I, public using (true)', ro);
      execute format('revoke select on plain from %I', ro);
      execute format('grant select (id, shown), update (shown) on plain to %I', ro);
      execute format('grant usage on schema billing to %I with grant option', app);
      execute format('grant select on large object 4242 to %I', app);
      execute format('revoke execute on function plus_one(int) from public');
      execute format('grant execute on function plus_one(int) to %I', app);
      execute format('grant usage on type mood to %I', app);
      execute format('alter default privileges in schema billing grant truncate on tables to %I', app);
      execute format('alter default privileges revoke execute on functions from public');
      execute format('alter default privileges grant execute on functions to %I', app);
    end $$;`,
    null
  )
}
