import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { dialects } from '../../src/engines/dialects.js'
import { loadMigrations } from '../../src/engines/migration-files.js'
import { lint } from '../../src/engines/mysql/lint/lint.js'
import { partsOf } from '../../src/engines/mysql/parts.js'
import { mask, splitStatements } from '../../src/engines/statements.js'

/** How the text of a file for MySQL is read, and what is said of it without running it. */
const folder = await mkdtemp(join(tmpdir(), 'saasctl-mysql-lint-'))
t.teardown(() => rm(folder, { recursive: true, force: true }))

async function load(text: string) {
  await writeFile(join(folder, '1_x.sql'), text)
  return loadMigrations(folder, dialects.mysql)
}

const linted = async (text: string) => (await lint(await load(text))).map(({ code, line }) => `${code}:${line}`)

await t.test('what locks, rewrites, breaks or cannot be resumed is named with its line', async t => {
  const bad: Array<[string, string]> = [
    ['alter table people modify name varchar(300) not null;', 'column.type:1'],
    ['alter table `people` change column name name text;', 'column.type:1'],
    ['alter table people\n  add column age int,\n  modify name text;', 'column.type:3'],
    ['alter table people add column age int not null;', 'column.required:1'],
    ['alter table people add column born date not null;', 'column.required:1'],
    ['alter table people add column total int as (a + b) stored;', 'column.rewrite:1'],
    ['alter table people add column code char(36) default (uuid());', 'column.rewrite:1'],
    ['alter table people add column n int auto_increment unique;', 'column.rewrite:1'],
    ['alter table people add constraint old check (age > 17);', 'constraint.scan:1'],
    ['alter table people add check (age > 17);', 'constraint.scan:1'],
    ['alter table people add foreign key (boss) references people (id);', 'constraint.scan:1'],
    ['alter table people add constraint foreign key (boss) references people (id);', 'constraint.scan:1'],
    ['alter table people add fulltext index (name);', 'index.blocking:1'],
    ['create fulltext index words on people (name);', 'index.blocking:1'],
    ['alter table people drop primary key;', 'table.rewrite:1'],
    ['alter table people add primary key (id);', 'table.rewrite:1'],
    ['alter table people convert to character set utf8mb4;', 'table.rewrite:1'],
    ['alter table people engine = innodb;', 'table.rewrite:1'],
    ['alter table people partition by hash (id) partitions 4;', 'table.rewrite:1'],
    ['alter table people engine = MyISAM;', 'table.engine:1'],
    ['create table logs (id int) engine=Aria;', 'table.engine:1'],
    ['alter table people drop column name;', 'contract.drop:1'],
    ['drop table if exists people;', 'contract.drop:1'],
    ['alter table people rename to humans;', 'contract.rename:1'],
    ['alter table people rename column name to label;', 'contract.rename:1'],
    ['rename table people to humans;', 'contract.rename:1'],
    ['-- saasctl: phase=contract\ndrop table a, b;', 'statement.several:2'],
    ['truncate table people;', 'statement.unseen:1'],
    ['alter table people exchange partition p0 with table old;', 'statement.unseen:1'],
    ['# a comment; of MySQL\nselect "it\\"s;\n"; drop table people;', 'contract.drop:3']
  ]
  for (const [text, expected] of bad) t.same(await linted(text), [expected], text)
  t.same(
    await linted('alter table people change name label text;'),
    ['column.type:1', 'contract.rename:1'],
    'a column that gets another name and type is both'
  )
})

await t.test('what is harmless is not named', async t => {
  const good = [
    'create table people (id int primary key, name text);\nalter table people add constraint c check (id > 0);',
    'create index people_name on people (name);',
    'alter table people add unique (name), add index (id), drop index old, drop key older;',
    'alter table people add column age int, add column note text default ("x, not null");',
    "alter table people alter column name set default 'x';",
    'alter table people drop constraint c, drop foreign key f, drop check k;',
    'alter table people rename index a to b;',
    'alter table people add column low varchar(9) as (lower(name)) virtual;',
    '-- saasctl: phase=contract\nalter table people drop column name;\ndrop table old_people;',
    '-- saasctl: transaction=false\ntruncate table people;',
    "insert into notes values ('drop table people;\n', `drop table x;`);",
    '-- statement\ncreate trigger g before insert on people for each row begin\n  set new.a = 1;\n  drop table x;\nend;\n-- statement',
    '-- Up Migration\n-- lint-allow: contract.drop\ndrop table people;',
    '-- Up Migration\nselect 1;\n-- Down Migration\ndrop table people;'
  ]
  for (const text of good) t.same(await linted(text), [], text)
})

await t.test('the example product is free of findings that nobody has looked at', async t => {
  t.same(await lint(await loadMigrations('tenant-migrations/mysql', dialects.mysql)), [])
})

await t.test('a script is split as the server reads it', async t => {
  const script = `# one; two
create table a (id int); -- a comment
insert into a values ('it\\'s;
'), ("say \\"hi\\";
"); delete from a where id = 5--1;
-- statement
create trigger g before insert on a for each row begin
  set new.id = 1;
end;
-- statement
select 1 /* not /* nested */;
update \`odd;
name\` set a = $$;
`
  t.strictSame(
    partsOf(script).map(({ sql, line, kind }) => [line, kind, sql.split('\n')[0]]),
    [
      [2, 'schema', 'create table a (id int)'],
      [3, 'rows', `insert into a values ('it\\'s;`],
      [5, 'rows', 'delete from a where id = 5--1'],
      [7, 'schema', 'create trigger g before insert on a for each row begin'],
      [11, 'rows', 'select 1'],
      [12, 'rows', 'update `odd;']
    ]
  )
  t.equal(splitStatements('/*!50001 create view v as select 1 */;\n', dialects.mysql).length, 1, 'hidden code is code')
  t.equal(mask('a -- b\n--c', dialects.mysql), 'a     \n--c')
})

await t.test('what only the mysql program understands is refused with what to write instead', async t => {
  const problem = async (text: string) =>
    (await t.rejects(load(text), { code: 'CONFIG_INVALID' })) as { message: string }
  t.match(await problem('select 1;\nDELIMITER $$\ncreate trigger g$$\n'), {
    message: /1_x\.sql:2 has a DELIMITER line.*-- statement/
  })
  t.match(await problem('/*!40101 set names utf8 */;'), { message: /1_x\.sql:1 hides a statement in a comment/ })
  t.match(await problem('insert into a values (1);\ncommit;'), { message: /1_x\.sql:2 ends the transaction/ })
})
