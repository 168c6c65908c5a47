import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { findTenant } from '../../src/catalog/tenants.js'
import { COLLATION } from '../../src/engines/mysql/connect.js'
import { addServer } from '../../src/servers/add.js'
import { buildTemplate } from '../../src/templates/build-template.js'
import { cli } from '../support/cli.js'
import { controlPlane } from '../support/control-plane.js'
import { fleetAudit } from '../support/fleet-audit.js'
import { mysqlControlLogin, skipWithoutMysql, startMariadb } from '../support/mariadb-server.js'
import { skipWithoutPostgres } from '../support/servers.js'
import { tinyTemplate } from '../support/tiny-template.js'

/** A database that was there before, and a dump, on MariaDB or MySQL; the fleet commands in between. */
if (!(await skipWithoutPostgres(t)) && !(await skipWithoutMysql(t))) {
  const tiny = await tinyTemplate(['mysql'])
  t.teardown(() => tiny.remove())
  const plane = await controlPlane({ env: tiny.env, addServer: false })
  t.teardown(() => plane.close())
  const server = await startMariadb()
  t.teardown(() => server.stop())
  const { saasctl } = plane
  const { host, port } = server
  await addServer(saasctl, { name: 'maria', engine: 'mysql', host, port, ...(await mysqlControlLogin(server)) })
  await buildTemplate(saasctl, 'tiny', { again: false, warm: undefined }, { wait: true })
  const { run, folder } = await cli(t, plane.env)
  const NOTES = 'create table notes (id int primary key, body text not null)'
  const TAGS = 'create table tags (id int primary key, name text)'
  await server.root(`create database old_acme character set utf8mb4 collate ${COLLATION}; create database oldXacme`)
  await server.root(`${NOTES}; ${TAGS}; insert into notes values (1, 'kept')`, 'old_acme')
  const adopt = () =>
    run(['tenant', 'adopt', 'acme', '--server', 'maria', '--database', 'old_acme', '--confirm', 'acme'])

  await t.test('what control lacks is said with the statement, and with it the database is a tenant’s', async t => {
    const refused = await adopt()
    t.equal(refused.code, 1)
    const fix = /An administrator runs: (GRANT .* WITH GRANT OPTION;)/.exec(refused.stderr)?.[1] ?? ''
    t.match(fix, /ON `old\\_acme`\.\*/, 'and no other database that the name would fit')
    await server.root(fix)
    const { code, stderr } = await adopt()
    t.equal(code, 0, stderr)
    t.match(await findTenant(saasctl.catalog, 'acme'), { database: 'old_acme', migration: '0002_grown' })
    t.strictSame(await fleetAudit(plane, { mysql: server }), [])
    const doctor = await run(['doctor'])
    t.notMatch(doctor.stdout + doctor.stderr, /old\\*_acme|tenants\.foreign/, 'the doctor finds it where it is')
  })

  await t.test('it is migrated, asked, and its drift is found as any other’s', async t => {
    const name = await tiny.grow()
    t.equal((await run(['tenant', 'migrate', 'acme'])).code, 0)
    t.equal((await findTenant(saasctl.catalog, 'acme'))?.migration, name)
    const query = join(folder, 'notes.sql')
    await writeFile(query, 'select id, body from notes')
    const asked = await run(['fleet', 'query', query, '-o', 'ndjson'])
    t.strictSame([asked.code, asked.stdout], [0, '{"tenant":"acme","id":1,"body":"kept"}\n'])
    await writeFile(query, `insert into notes values (2, 'x')`)
    t.match(await run(['fleet', 'query', query]), { code: 3, stderr: /READ ONLY|denied/i })
    t.equal((await run(['fleet', 'drift'])).code, 0)
    await server.root('alter table notes add column extra int; create index by_name on tags (id)', 'old_acme')
    const { code, stdout } = await run(['fleet', 'drift'])
    t.equal(code, 8)
    t.match(stdout, /extra column notes\.extra: int/)
    t.match(stdout, /extra index tags\.by_name/)
    const plan = await run(['fleet', 'drift', '--fix-plan'])
    t.match(plan.stdout, /-- ALTER TABLE `notes` DROP COLUMN `extra`;/)
    await server.root('alter table notes drop column extra; drop index by_name on tags', 'old_acme')
    t.equal((await run(['fleet', 'drift'])).code, 0)
  })

  await t.test('it is given back with its rows, and nothing of ours stays', async t => {
    const { code, stderr } = await run(['tenant', 'give-away', 'acme', '--confirm', 'acme'])
    t.equal(code, 0, stderr)
    t.strictSame(await server.root('select body from notes', 'old_acme'), [{ body: 'kept' }])
    t.strictSame(await fleetAudit(plane, { mysql: server }), [])
  })

  await t.test('a dump becomes a tenant; one with commands is refused, one that fails leaves nothing', async t => {
    const file = join(folder, 'dump.sql')
    const grown = 'create table grown_2 (id int)'
    const dump = `/*M!999999\\- enable the sandbox mode */ \n-- a dump\n${NOTES};\n${TAGS};\n${grown};\nLOCK TABLES \`notes\` WRITE;\nINSERT INTO \`notes\` VALUES (1,'a\\'b;\\n\\\\! x');\nUNLOCK TABLES;\n\n-- Dump completed on 2026-01-31 12:00:00\n`
    await writeFile(file, dump)
    const { code, stderr } = await run(['tenant', 'create', 'globex', '--from', file])
    t.equal(code, 0, stderr)
    t.match(await findTenant(saasctl.catalog, 'globex'), { status: 'active' })
    for (const text of ['system touch /tmp/never;\n', '\\! touch /tmp/never\n;\n', 'use mysql;\n']) {
      await writeFile(file, text)
      t.match(await run(['tenant', 'create', 'evil', '--from', file]), { code: 2, stderr: /has the command/ })
    }
    await writeFile(file, `${dump}insert into nothing values (1);\n`)
    t.match(await run(['tenant', 'create', 'broken', '--from', file]), { code: 1, stderr: /failed at statement 7/ })
    t.strictSame(await fleetAudit(plane, { mysql: server }), [])
  })

  await t.test(
    'an adopted tenant is backed up, restored and cloned as any other, also with a table of its own name',
    async t => {
      const grown = 'create table grown_2 (id int)'
      await server.root(`create database tags character set utf8mb4 collate ${COLLATION}`)
      await server.root(`${NOTES}; ${TAGS}; ${grown}; insert into tags values (1, 'kept')`, 'tags')
      const wish = ['tenant', 'adopt', 'initech', '--server', 'maria', '--database', 'tags', '--confirm', 'initech']
      const fix = /An administrator runs: (GRANT .* WITH GRANT OPTION;)/.exec((await run(wish)).stderr)?.[1] ?? ''
      await server.root(fix)
      t.match(await run(wish), { code: 0 })
      await server.root(
        `create view named as select tags.name from tags join tags.notes as n on n.id = tags.id`,
        'tags'
      )
      await server.root(
        `create trigger copied after insert on tags for each row insert into notes values (new.id, new.name)`,
        'tags'
      )
      t.match(await run(['tenant', 'backup', 'initech']), { code: 0 })
      for (const verb of [
        ['restore', 'initech', '--latest', '--confirm', 'initech'],
        ['clone', 'initech', '--as', 'initech-2']
      ])
        t.match(await run(['tenant', ...verb]), { code: 0, stderr: /open and look/ })
      for (const slug of ['initech', 'initech-2']) {
        const { database } = (await findTenant(saasctl.catalog, slug)) ?? {}
        t.not(database, 'tags')
        await server.root(`insert into tags values (2, 'two')`, database ?? '')
        t.strictSame(await server.root('select name from named', database ?? ''), [{ name: 'two' }], slug)
      }
    }
  )
}
