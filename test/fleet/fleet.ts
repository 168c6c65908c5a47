import { createHash } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { listServers, updateServer } from '../../src/catalog/servers.js'
import { serverAccess } from '../../src/databases/access.js'
import { addServer } from '../../src/servers/add.js'
import { buildTemplate } from '../../src/templates/build-template.js'
import { createTenant } from '../../src/tenants/create.js'
import { suspendTenant } from '../../src/tenants/suspend.js'
import { asTenantOwner } from '../support/as-owner.js'
import { cli } from '../support/cli.js'
import { controlPlane } from '../support/control-plane.js'
import { skipWithoutPostgres } from '../support/servers.js'
import { tinyTemplate } from '../support/tiny-template.js'

if (!(await skipWithoutPostgres(t))) {
  const tiny = await tinyTemplate()
  t.teardown(() => tiny.remove())
  const plane = await controlPlane({ env: tiny.env })
  t.teardown(() => plane.close())
  const { saasctl } = plane
  const { run, json, folder } = await cli(t, plane.env)
  for (const slug of ['acme', 'globex', 'initech'])
    await createTenant(saasctl, { slug, plan: 'small' }, { template: 'tiny' }, { wait: true })
  const inTenant = (slug: string, sql: string) => asTenantOwner(saasctl, slug, client => client.query(sql))
  const file = async (name: string, sql: string) => {
    const path = join(folder, name)
    await writeFile(path, sql)
    return path
  }

  await t.test('an untouched fleet does not drift, and status says where it stands', async t => {
    const { code, stdout, stderr } = await run(['fleet', 'drift'])
    t.strictSame([code, stdout], [0, ''], stderr)
    const status = await json(['fleet', 'status'])
    t.match(status, { tenants: 3, behind: 0, troubles: [], versions: [{ template: 'tiny', tenants: 3 }] })
    t.match(status, { servers: [{ server: 'main', tenants: 3, drifted: 0 }] })
    const table = await run(['fleet', 'status'])
    t.equal(table.code, 0)
    t.match(table.stdout, /TEMPLATE +ENGINE +MIGRATION/)
  })

  await t.test('what was changed by hand is found, told thing by thing, and stands in the status', async t => {
    await inTenant('acme', 'alter table notes alter body drop not null, add column extra int')
    await inTenant('acme', 'create index notes_body on notes (body); drop table tags')
    await inTenant('acme', `create function f() returns int language sql as 'select 1'`)
    const { code, stdout, stderr } = await run(['fleet', 'drift'])
    t.equal(code, 8)
    t.match(stderr, /1 of 3 tenants differ/)
    t.match(stdout, /^acme on main, at 0002_grown: /)
    t.match(stdout, /missing relation public\.tags: /)
    t.match(stdout, /extra column public\.notes\.extra: integer/)
    t.match(stdout, /changed column public\.notes\.body: is text, should be text NOT NULL/)
    t.match(stdout, /extra index public\.notes_body: CREATE INDEX/)
    t.match(stdout, /extra function public\.f\(\)/)
    const status = await json<{ troubles: object[] }>(['fleet', 'status'])
    t.match(status.troubles, [{ slug: 'acme', why: 'drift', next: 'saasctl fleet drift acme --fix-plan' }])
  })

  await t.test(
    'the plan to mend it is SQL that mends it once a person has run it, and runs nothing by itself',
    async t => {
      const { code, stdout } = await run(['fleet', 'drift', 'acme', '--fix-plan'])
      t.equal(code, 8)
      t.match(stdout, /^-- ALTER TABLE public\.notes DROP COLUMN extra;/m, 'what loses data is a comment')
      t.equal((await run(['fleet', 'drift', 'acme'])).code, 8, 'nothing was run')
      const agreed = stdout.replace(/^-- (?=ALTER|DROP|CREATE)/gm, '')
      await inTenant('acme', agreed)
      const after = await run(['fleet', 'drift', 'acme'])
      t.equal(after.code, 0, after.stdout)
      t.strictSame((await json<{ troubles: object[] }>(['fleet', 'status'])).troubles, [])
    }
  )

  await t.test('a ledger that says something else than the catalog is drift too', async t => {
    await inTenant('globex', `delete from saasctl.pgmigrations where name = '0002_grown'`)
    const { code, stdout } = await run(['fleet', 'drift', 'globex'])
    t.equal(code, 8)
    t.match(stdout, /changed ledger applied migrations: is 1 applied/)
    await inTenant('globex', `insert into saasctl.pgmigrations (name, run_on) values ('0002_grown', now())`)
    t.equal((await run(['fleet', 'drift', 'globex'])).code, 0)
  })

  await t.test('tenants behind the files are compared with what the files made then', async t => {
    await tiny.grow()
    const { code, stderr } = await run(['fleet', 'drift'])
    t.equal(code, 0, stderr)
  })

  await t.test('a query gives every tenant’s rows, and is written down with its hash', async t => {
    const sql = 'select id, body from notes order by id'
    const path = await file('notes.sql', `${sql};\n`)
    await suspendTenant(saasctl, 'initech', { wait: true })
    const { code, stdout } = await run(['fleet', 'query', path, '-o', 'ndjson', '--reason', 'ticket 4711'])
    t.equal(code, 0)
    const rows = stdout
      .trim()
      .split('\n')
      .map(line => JSON.parse(line))
    t.strictSame(rows.map(({ tenant }) => tenant).sort(), ['acme', 'globex', 'initech'])
    t.match(rows, [{ id: 1, body: 'seed' }])
    const events = await plane.catalogAsSuperuser(
      async client =>
        (
          await client.query(
            `select e.action, p.payload from saasctl.audit_event e
             join saasctl.audit_payload p using (chain, seq) where e.chain = 'fleet' order by e.seq`
          )
        ).rows
    )
    const text = JSON.stringify(events)
    t.match(text, createHash('sha256').update(sql).digest('hex'))
    t.match(text, /ticket 4711/)
    t.match(text, /fleet\.query\.done/)
  })

  await t.test('a statement that writes is refused by the server, by each of its walls', async t => {
    for (const [name, sql] of Object.entries({
      insert: `insert into notes values (9, 'x')`,
      cte: `with gone as (delete from notes returning *) select * from gone`,
      two: `select 1; commit; set default_transaction_read_only = off; insert into notes values (9, 'x')`,
      table: 'create table stolen as select * from notes'
    })) {
      const { code, stdout, stderr } = await run(['fleet', 'query', await file(`${name}.sql`, sql), 'acme'])
      t.strictSame([code, stdout], [3, ''], `${name}: ${stderr}`)
      const why = name === 'two' ? /acme: .*multiple commands/ : /acme: A query may only read, .*read-only transaction/
      t.match(stderr, why, name)
      t.match(stderr, /1 tenant did not answer\./, 'and nobody else is said to be done')
    }
    const { rows } = await inTenant('acme', 'select count(*)::int as n from notes')
    t.equal(rows[0]?.n, 1)
  })

  await t.test(
    'one tenant that fails stops no other, a long statement is ended, and too many rows are cut',
    async t => {
      await inTenant('globex', 'alter table notes rename to notes_')
      const failed = await run(['fleet', 'query', join(folder, 'notes.sql'), '-o', 'ndjson'])
      t.equal(failed.code, 3)
      t.equal(failed.stdout.trim().split('\n').length, 2, 'the two others')
      t.match(failed.stderr, /"failed":\["globex"\]/)
      await inTenant('globex', 'alter table notes_ rename to notes')
      const slow = await file('slow.sql', 'select pg_sleep(600)')
      t.match(await run(['fleet', 'query', slow, 'acme', '--statement-timeout', '100ms']), {
        code: 3,
        stderr: /timeout/
      })
      const many = await file('many.sql', 'select generate_series(1, 100000000) as n')
      const cut = await run(['fleet', 'query', many, 'acme', '--max-rows', '250', '-o', 'ndjson'])
      t.equal(cut.code, 0, cut.stderr)
      t.equal(cut.stdout.trim().split('\n').length, 250)
      t.match(cut.stderr, /more than 250 rows/)
    }
  )

  await t.test('what cannot be understood is said in a sentence, before anybody is asked', async t => {
    t.match(await run(['fleet', 'query', 'nowhere.sql']), { code: 2, stderr: /"nowhere.sql" cannot be read/ })
    t.match(await run(['fleet', 'query', await file('empty.sql', ' ;\n')]), { code: 2, stderr: /is empty/ })
    t.match(await run(['fleet', 'drift', 'nobody']), { code: 5, stderr: /no tenant "nobody"/ })
    t.match(await run(['fleet', 'status', '--server', 'nowhere']), { code: 0, stdout: '' })
  })

  await t.test('a server that is not reached is told once, and the others are compared', async t => {
    const [main] = await listServers(saasctl.catalog)
    if (!main) throw new Error('There is no server.')
    const { port, control } = await serverAccess(saasctl.keys, main)
    const { server } = await addServer(saasctl, {
      name: 'away',
      engine: 'postgres',
      host: 'localhost',
      port,
      ...control
    })
    await buildTemplate(saasctl, 'tiny', { again: false, warm: undefined }, { wait: true })
    for (const slug of ['hooli', 'vandelay'])
      await createTenant(saasctl, { slug, server: 'away', plan: 'small' }, { template: 'tiny' }, { wait: true })
    await updateServer(saasctl.catalog, server.id, { port: 1 })
    const { code, stderr } = await run(['fleet', 'drift'])
    t.equal(code, 3, stderr)
    t.match(stderr, /^(hooli, vandelay|vandelay, hooli): .*did not answer/m)
    t.match(stderr, /2 tenants could not be compared; the others are done/)
  })
}
