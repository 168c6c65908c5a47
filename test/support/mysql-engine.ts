import { randomBytes } from 'node:crypto'
import mysql from 'mysql2/promise'
import type { Credentials } from '../../src/engines/engine.js'
import { SPARE } from '../../src/engines/mysql/limits.js'
import { MysqlEngine } from '../../src/engines/mysql/mysql.js'
import { recordsOf } from '../../src/engines/mysql/names.js'
import { Secret } from '../../src/secret.js'
import {
  lastRows,
  type MariadbServer,
  type MysqlBinaries,
  mysqlBinaries,
  mysqlControlLogin,
  startMariadb
} from './mariadb-server.js'
import { file } from './postgres-engine.js'
import type { EngineSql, RealEngine, RunningEngine } from './real-engines.js'

export interface RunningMysql extends RunningEngine {
  server: MariadbServer
}

const names = { mariadb: 'MariaDB', mysql: 'MySQL' }

export async function mysqlEngines(): Promise<RealEngine[]> {
  return (await mysqlBinaries()).map(binaries => ({
    title: `${names[binaries.flavour]} ${binaries.version}`,
    start: () => startMysqlEngine([], binaries)
  }))
}

/** A server, its control login and the engine on it. Options are the server's: `--sql-mode=`. */
export async function startMysqlEngine(options: string[] = [], binaries?: MysqlBinaries): Promise<RunningMysql> {
  const server = await startMariadb(options, binaries)
  const control = await mysqlControlLogin(server)
  const engine = new MysqlEngine()
  const { host, port } = server
  const open = async (database: string, { login, password }: Credentials) => {
    const connection = await mysql.createConnection({ host, port, database, user: login, password: password.reveal() })
    connection.on('error', () => {})
    return connection
  }
  return {
    server,
    engine,
    access: { host, port, tls: { mode: 'disable' }, maintenance: engine.maintenance, control },
    query: async (database, as, sql) => {
      const connection = await open(database, as)
      try {
        return lastRows((await connection.query(sql))[0])
      } finally {
        connection.destroy()
      }
    },
    hold: async (database, as) => {
      const connection = await open(database, as)
      // A server that kills an idle session says so before it hangs up; the driver then tells of the error alone.
      const ended = new Promise<void>(resolve => connection.once('end', resolve).once('error', () => resolve()))
      return {
        query: async sql => lastRows((await connection.query(sql))[0]),
        ended,
        close: () => connection.end()
      }
    },
    admin: (sql, database) => server.root(sql, database),
    stranger: async () => {
      const as = { login: `stranger_${randomBytes(4).toString('hex')}`, password: new Secret('somebody-elses') }
      await server.root(`CREATE USER ${as.login}@'%' IDENTIFIED BY 'somebody-elses'`)
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

const sql: EngineSql = {
  spare: SPARE,
  notes: file(
    '1_notes',
    'create table notes (id int auto_increment primary key, body text not null);',
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
    'insert into bills (plain_id) select id from plain',
    `insert into parted values (1, '2024-01-01')`,
    'select plus_one(1)',
    'call nothing()',
    'delete from bills'
  ],
  forbiddenToApp: database => [
    'create table t (id int)',
    'create temporary table t (id int)',
    'create database s',
    'create function f() returns int deterministic return 1',
    'create event e on schedule every 1 day do delete from notes',
    'create trigger g before insert on notes for each row set new.body = 1',
    'create view w as select 1',
    'alter table notes add column c int',
    'drop table notes',
    'truncate notes',
    'create index i on notes (body(9))',
    `drop database ${database}`,
    `insert into ${recordsOf(database)}.identity (database_id) values (uuid())`,
    `update ${recordsOf(database)}.identity set made_at = now()`,
    `delete from ${recordsOf(database)}.identity`,
    `create table ${recordsOf(database)}.t (id int)`,
    `select * from ${recordsOf(database)}.pgmigrations`,
    `insert into ${recordsOf(database)}.pgmigrations (name, run_on) values ('x', now())`
  ],
  forbiddenToReadonly: database => [
    `insert into notes (body) values ('x')`,
    `update notes set body = 'x'`,
    'delete from notes',
    'create table t (id int)',
    `drop database ${database}`,
    `delete from ${recordsOf(database)}.identity`
  ],
  everything: file(
    '5_everything',
    `create table plain (
      id int auto_increment primary key, mood enum('glad', 'sad') default 'glad', price decimal(10, 2) check (price >= 0),
      secret text, shown text, total decimal(10, 2) as (price * 2) stored
    );
    create table bills (
      id bigint auto_increment primary key, plain_id int, index (plain_id), foreign key (plain_id) references plain (id)
    );
    create table parted (id int, day date)
      partition by range (year(day)) (partition p0 values less than (2020), partition p1 values less than maxvalue);
    create view glad as select id from plain where mood = 'glad';
    create trigger touch before update on plain for each row set new.shown = 'touched';
    create function plus_one(n int) returns int deterministic return n + 1;
    create procedure nothing() select 1;
    create fulltext index words on plain (secret);`,
    null
  )
}
