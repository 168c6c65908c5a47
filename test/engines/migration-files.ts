import { createHash } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { compareFileNames, loadMigrations } from '../../src/engines/migration-files.js'
import { lineOfNth, mask, splitStatements } from '../../src/engines/statements.js'

async function folder(t: Test, files: Record<string, string | Buffer>): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'saasctl-files-'))
  t.teardown(() => rm(path, { recursive: true, force: true }))
  for (const [name, text] of Object.entries(files)) await writeFile(join(path, name), text)
  return path
}

async function problems(t: Test, files: Record<string, string | Buffer>) {
  const error = await loadMigrations(await folder(t, files)).catch(error => error)
  t.match(error, { code: 'CONFIG_INVALID' })
  return (error.data?.['problems'] ?? []) as Array<{ file: string; line: number; message: string }>
}

t.test('files are read with both parts, their lines and a hash of the bytes', async t => {
  const path = await folder(t, {
    '2_b.sql': '-- A comment\n\n-- Up Migration\ncreate table b (id int);\n\n-- Down Migration\ndrop table b;\n',
    '1_a.sql': 'create table a (id int);\n',
    '.hidden': 'not read'
  })
  const [a, b, ...rest] = await loadMigrations(path)
  t.strictSame(rest, [])
  t.match(a, { name: '1_a', up: 'create table a (id int);\n', down: null, lines: { up: 1 } })
  t.match(b, { name: '2_b', up: /create table b/, down: /drop table b/ })
  t.notMatch(b?.up, /drop/)
  t.notMatch(b?.down, /create/)
  t.equal(a?.checksum, createHash('sha256').update('create table a (id int);\n').digest('hex'))
  t.match(a?.options, {
    transaction: true,
    lockTimeoutMs: 2_000,
    statementTimeoutMs: null,
    outOfOrder: false,
    phase: 'expand'
  })
})

t.test('the order is the number’s, then as people sort; 17 digits are a time', async t => {
  const sorted = ['9_z.sql', '10_a.sql', '10_b2.sql', '10_b10.sql', '1700000000000_c.sql', '20240101000000000_d.sql']
  const path = await folder(t, Object.fromEntries([...sorted].reverse().map(name => [name, 'select 1;'])))
  t.strictSame(
    (await loadMigrations(path)).map(({ name }) => `${name}.sql`),
    sorted
  )
})

t.test('any two files that can stand in one folder have an order, and it is one order', t => {
  const name = fc.tuple(fc.nat(99_999), fc.stringMatching(/^[a-z0-9_-]{1,8}$/)).map(([n, text]) => `${n}_${text}.sql`)
  fc.assert(
    fc.property(fc.uniqueArray(name, { maxLength: 8 }), names => {
      const once = [...names].sort(compareFileNames)
      const again = [...names].reverse().sort(compareFileNames)
      return once.every((each, index) => compareFileNames(each, again[index] ?? '') === 0)
    })
  )
  t.end()
})

t.test('options stand at the top, in one line or several', async t => {
  const text =
    '-- saasctl: transaction=false lock_timeout=5s\n-- saasctl: statement_timeout=1m, out_of_order=true phase=contract\n' +
    '-- Up Migration\nselect 1;\n'
  const [file] = await loadMigrations(await folder(t, { '1_a.sql': text }))
  t.strictSame(file?.options, {
    transaction: false,
    lockTimeoutMs: 5_000,
    statementTimeoutMs: 60_000,
    outOfOrder: true,
    phase: 'contract'
  })
})

t.test('every problem is named with its file and line', async t => {
  t.match(
    await problems(t, {
      'README.md': 'x',
      'first.sql': 'select 1;',
      '1_a.sql': '-- saasctl: lock_timeout=soon colour=red\nselect 1;\n-- saasctl: phase=expand\n',
      '2_b.sql': '-- Up Migration\nselect 1;\n-- Up Migration\nselect 2;\n',
      '3_c.sql': 'select 1;\n-- Down Migration\nselect 2;\n',
      '4_d.sql': '-- Up Migration\n-- statement\nselect 1;\n',
      '5_e.sql': Buffer.from([0x73, 0x65, 0x0a, 0xff, 0xfe]),
      '6_f.sql': '\ufeffselect 1;',
      '7_g.sql': '\\connect other\n'
    }),
    [
      { file: 'README.md', message: /not an .sql file/ },
      { file: 'first.sql', message: /number/ },
      { file: '1_a.sql', line: 1, message: /bad value in "lock_timeout=soon"/ },
      { file: '1_a.sql', line: 1, message: /unknown option "colour"/ },
      { file: '1_a.sql', line: 3, message: /below the first statement/ },
      { file: '2_b.sql', line: 3, message: /second "-- up migration"/ },
      { file: '3_c.sql', line: 2, message: /no "-- Up Migration"/ },
      { file: '4_d.sql', line: 2, message: /without its partner/ },
      { file: '5_e.sql', line: 2, message: /not UTF-8/ },
      { file: '6_f.sql', line: 1, message: /byte order mark/ },
      { file: '7_g.sql', line: 1, message: /psql/ }
    ]
  )
})

t.test('two files without an order between them are refused', async t => {
  t.match(await problems(t, { '1_ab.sql': '', '01_a-b.sql': '', '1_a-b.sql': '' }), [{ message: /no order/ }, {}])
  t.match(await problems(t, { '1_a.sql': '', '1_a.SQL': '' }), [{ message: /same name/ }])
})

t.test('a folder that is not there is said so', async t => {
  await t.rejects(loadMigrations('/nowhere/at/all'), { code: 'CONFIG_INVALID', message: /cannot be read/ })
})

t.test('a statement that ends the transaction is refused wherever it hides', async t => {
  for (const text of [
    'commit;',
    'select 1; COMMIT ;',
    'create table a (id int); rollback;',
    'begin;\nselect 1;',
    'start transaction;',
    'begin isolation level serializable;',
    '/* x */ abort;',
    "prepare transaction 'x';"
  ]) {
    t.match(
      await problems(t, { '1_a.sql': `select 0;\n${text}\n` }),
      [{ line: 2, message: /ends the transaction/ }],
      text
    )
  }
})

t.test('what only looks like the end of a transaction is not', async t => {
  const text = [
    `insert into a values ('; commit;');`,
    '-- commit;',
    '/* ; rollback; /* nested */ commit; */',
    'create function f() returns int language plpgsql as $$ begin return 1; end $$;',
    'create function g() returns int begin atomic select 1; select 2; end;',
    'savepoint s; rollback to savepoint s;',
    'select 1 as "commit; commit";',
    `select E'it\\'s; commit;';`,
    'update commit set begin = 1;',
    'select $tag$ ; commit; $tag$;'
  ].join('\n')
  t.equal((await loadMigrations(await folder(t, { '1_a.sql': text }))).length, 1)
  const outside = '-- saasctl: transaction=false\nbegin;\nselect 1;\ncommit;\n'
  t.equal((await loadMigrations(await folder(t, { '1_a.sql': outside }))).length, 1)
})

t.test('a script is split at the ends of lines, and kept whole between statement lines', t => {
  const script = `-- Up Migration
create table a (id int); -- a comment
select 'a;
b'; select 2;

-- statement
create trigger t before insert on a for each row begin
  set new.id = 1;
end;
-- statement
create function f() returns int language sql as $$
  select 1;
$$;
select 3`
  t.strictSame(
    splitStatements(script).map(({ sql, line }) => [line, sql.split('\n')[0]]),
    [
      [2, 'create table a (id int); -- a comment'],
      [3, `select 'a;`],
      [7, 'create trigger t before insert on a for each row begin'],
      [11, 'create function f() returns int language sql as $$'],
      [14, 'select 3']
    ]
  )
  t.end()
})

t.test('backslashes escape in the dialect that says so', t => {
  const script = `insert into a values ('it\\'s;\n');\nselect 2;\n`
  t.equal(splitStatements(script, { backslashes: true }).length, 2)
  t.equal(splitStatements(`select 'C:\\';\nselect 2;\n`).length, 2)
  t.end()
})

t.test('statements lose nothing but blanks, comments and semicolons between them', t => {
  const part = fc.constantFrom(
    'select 1',
    "'a;\n'",
    // Right behind a word it would not be a quote but part of the word, and the one behind it would stay open.
    ' $$ ;\n $$',
    '-- c\n',
    '/* ;\n */',
    ';',
    ';\n',
    '\n',
    ' ',
    '"q;\n"',
    'x'
  )
  fc.assert(
    fc.property(fc.array(part, { maxLength: 30 }), parts => {
      const script = parts.join('')
      const code = (text: string) => mask(text).replace(/[\s;]/g, '')
      return (
        mask(script).length === script.length &&
        splitStatements(script)
          .map(({ sql }) => code(sql))
          .join('') === code(script)
      )
    })
  )
  t.end()
})

t.test('the line of the n-th statement is the server’s count', t => {
  const script = `-- first\nselect 1; select ';';\n\n;;\nselect 3;\n-- end\n`
  t.strictSame(
    [0, 1, 2, 3].map(n => lineOfNth(script, n)),
    [2, 2, 5, undefined]
  )
  t.equal(lineOfNth('create function f() begin atomic select 1; end; select 2;', 1), undefined)
  t.end()
})
