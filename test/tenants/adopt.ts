import pg from 'pg'
import t from 'tap'
import { findTenant } from '../../src/catalog/tenants.js'
import { buildTemplate } from '../../src/templates/build-template.js'
import { createTenant } from '../../src/tenants/create.js'
import { asTenantOwner } from '../support/as-owner.js'
import { cli } from '../support/cli.js'
import { controlPlane } from '../support/control-plane.js'
import { fleetAudit } from '../support/fleet-audit.js'
import { asSuperuser, skipWithoutPostgres } from '../support/servers.js'
import { settle } from '../support/settle.js'
import { tinyTemplate } from '../support/tiny-template.js'

const NOTES = 'create table notes (id int primary key, body text not null)'
const TAGS = 'create table tags (id int primary key, name text)'
const LEDGER =
  'create table pgmigrations (id serial primary key, name varchar(255) not null, run_on timestamp not null)'

if (!(await skipWithoutPostgres(t))) {
  const tiny = await tinyTemplate()
  t.teardown(() => tiny.remove())
  const plane = await controlPlane({ env: tiny.env })
  t.teardown(() => plane.close())
  const { saasctl } = plane
  const { run, json } = await cli(t, plane.env)
  await buildTemplate(saasctl, 'tiny', { again: false, warm: undefined }, { wait: true })
  const root = <T>(work: (client: pg.Client) => Promise<T>, database?: string) =>
    asSuperuser(plane.server, work, database)

  /** A customer's database of old, made by a role that owns the others too. */
  const old = async (name: string, sql: string[], owner = 'legacy') => {
    await root(async client => {
      const [there] = (await client.query('select from pg_roles where rolname = $1', [owner])).rows
      if (!there) await client.query(`create role ${owner} login password 'old'; create role reporting login`)
      await client.query(`create database ${name} owner ${owner}`)
    })
    await root(async client => {
      await client.query(`set session authorization ${owner}`)
      for (const statement of sql) await client.query(statement)
    }, name)
  }
  const adopt = (slug: string, database: string, ...more: string[]) =>
    run(['tenant', 'adopt', slug, '--server', 'main', '--database', database, '--confirm', slug, ...more])
  const ownersIn = (database: string) =>
    root(async client =>
      (
        await client.query<{ role: string }>(
          `select distinct r.rolname as role from pg_shdepend s join pg_database d on d.oid = s.dbid
             join pg_roles r on r.oid = s.refobjid where d.datname = $1 and s.deptype = 'o'`,
          [database]
        )
      ).rows.map(({ role }) => role)
    )

  await old('acme_production', [
    NOTES,
    TAGS,
    LEDGER,
    `insert into pgmigrations (name, run_on) values ('0001_grown', now()), ('0002_grown', now() + interval '1 s')`,
    `insert into notes values (1, 'kept')`,
    'grant select on notes to reporting',
    `create function hello() returns text language sql as 'select ''hi'''`,
    'drop function hello()'
  ])
  await old('other_production', [NOTES])

  await t.test('what would change is shown, and nothing is changed', async t => {
    const dry = await run(['tenant', 'adopt', 'acme', '--server', 'main', '--database', 'acme_production', '--dry-run'])
    t.equal(dry.code, 0, dry.stderr)
    t.match(dry.stdout, /owners +legacy/)
    t.match(dry.stdout, /losing +PUBLIC,reporting/)
    t.equal(await findTenant(saasctl.catalog, 'acme'), undefined)
    t.match(await run(['tenant', 'adopt', 'acme', '--server', 'main', '--database', 'acme_production']), { code: 2 })
    t.strictSame(await ownersIn('acme_production'), ['legacy'])
  })

  await t.test('a database is taken over in place, with its rows, its ledger, and nobody else inside', async t => {
    const { code, stderr } = await adopt('acme', 'acme_production')
    t.equal(code, 0, stderr)
    const tenant = await findTenant(saasctl.catalog, 'acme')
    t.match(tenant, { status: 'active', migration: '0002_grown' })
    const found = await asTenantOwner(saasctl, 'acme', async client => {
      const { rows } = await client.query('select * from notes')
      const ledger = await client.query('select name from saasctl.pgmigrations order by run_on')
      const foreign = await client.query(`select to_regclass('public.pgmigrations') as there`)
      return { rows, ledger: ledger.rows.map(({ name }) => name), foreign: foreign.rows[0]?.there }
    })
    t.strictSame(found, { rows: [{ id: 1, body: 'kept' }], ledger: ['0001_grown', '0002_grown'], foreign: null })
    t.strictSame(await ownersIn(tenant?.database ?? ''), [`${tenant?.database}own`])
    for (const login of ['legacy', 'reporting']) {
      await t.rejects(
        root(async client => {
          await client.query(`set session authorization ${login}`)
          const { rows } = await client.query(`select has_database_privilege($1, 'CONNECT') as may`, [tenant?.database])
          if (!rows[0].may) throw new Error('may not')
        })
      )
    }
    t.equal((await run(['fleet', 'drift', 'acme'])).code, 0, 'it is what its template is')
    t.strictSame(await ownersIn('other_production'), ['legacy'], 'the other database of its owner is untouched')
    t.strictSame(await fleetAudit(plane), [])
  })

  await t.test('an app login works in it, and the next migration runs', async t => {
    const dsn = await json<{ dsn?: string }>(['tenant', 'dsn', 'acme', '--reveal'])
    const client = new pg.Client(Object.values(dsn).find(value => String(value).startsWith('postgres')) as string)
    await client.connect()
    await client.query(`insert into notes values (2, 'new')`)
    await t.rejects(client.query('drop table notes'), /must be owner|permission denied/)
    await client.end()
    await tiny.grow()
    const { code, stderr } = await run(['tenant', 'migrate', 'acme'])
    t.equal(code, 0, stderr)
    t.equal((await findTenant(saasctl.catalog, 'acme'))?.migration, '0003_grown')
  })

  await t.test('it can be given back as it was, and taken again', async t => {
    const database = (await findTenant(saasctl.catalog, 'acme'))?.database
    // As a try that was cut off in the middle leaves it.
    await root(client => client.query(`alter database ${database} allow_connections false`))
    const { code, stderr } = await run(['tenant', 'give-away', 'acme', '--confirm', 'acme'])
    t.equal(code, 0, stderr)
    t.strictSame(await ownersIn('acme_production'), ['legacy'])
    const left = await root(async client => {
      const { rows } = await client.query(
        `select (select count(*)::int from notes) as notes, to_regnamespace('saasctl') as ours,
           (select array_agg(name::text order by run_on) from pgmigrations) as ledger`
      )
      return rows[0]
    }, 'acme_production')
    t.strictSame(left, { notes: 2, ours: null, ledger: ['0001_grown', '0002_grown', '0003_grown'] })
    t.strictSame(await fleetAudit(plane), [])
    const again = await adopt('acme-2', 'acme_production')
    t.equal(again.code, 0, again.stderr)
  })

  await t.test('one that keeps its name is open to its new owner, although who gave it away was killed', async t => {
    await createTenant(saasctl, { slug: 'plain' }, { template: 'tiny' }, { wait: true })
    const database = (await findTenant(saasctl.catalog, 'plain'))?.database ?? ''
    const env = { SAASCTL_FAILPOINT: 'tenant.release/give back:acted' }
    await run(['tenant', 'give-away', 'plain', '--to', 'legacy', '--confirm', 'plain'], { env })
    t.match(await findTenant(saasctl.catalog, 'plain'), { status: 'purging' })
    await settle(saasctl)
    t.equal(await findTenant(saasctl.catalog, 'plain'), undefined)
    t.strictSame(await ownersIn(database), ['legacy'])
    const rows = await root(async client => (await client.query('select body from notes')).rows, database)
    t.strictSame(rows, [{ body: 'seed' }])
    await root(client => client.query(`drop database ${database}`))
    t.strictSame(await fleetAudit(plane), [])
  })

  await t.test('a schema that is not the baseline’s is refused thing by thing, and left as it was', async t => {
    const { code, stderr } = await adopt('globex', 'other_production', '--baseline', '0002_grown')
    t.equal(code, 8, stderr)
    t.match(stderr, /missing relation public\.tags/)
    t.equal(await findTenant(saasctl.catalog, 'globex'), undefined)
    t.strictSame(await ownersIn('other_production'), ['legacy'])
    t.strictSame(await fleetAudit(plane), [])
    const found = await adopt('globex', 'other_production')
    t.equal(found.code, 0, found.stderr)
    t.equal((await findTenant(saasctl.catalog, 'globex'))?.migration, '0001_grown', 'the baseline is found out')
  })

  await t.test(
    'what control may not do is said with the statement that allows it, before anything is made',
    async t => {
      await root(client => client.query('create database hers'))
      await root(client => client.query(NOTES), 'hers')
      const { code, stderr } = await adopt('hooli', 'hers')
      t.equal(code, 1)
      t.match(stderr, /ALTER DATABASE "hers" OWNER TO "saasctl_server";/)
      await root(client => client.query('alter database hers owner to legacy'))
      const within = await adopt('hooli', 'hers')
      t.equal(within.code, 1)
      t.match(within.stderr, /ALTER TABLE public\.notes OWNER TO "legacy"/)
      t.strictSame(await fleetAudit(plane), [])
      await root(client => client.query('alter table notes owner to legacy'), 'hers')
      const able = await adopt('hooli-2', 'hers')
      t.equal(able.code, 0, able.stderr)
      t.equal(await findTenant(saasctl.catalog, 'hooli'), undefined)
      t.match(await adopt('hooli', 'nowhere'), { code: 2, stderr: /no database "nowhere"/ })
      t.match(await adopt('hooli', 'template1'), { code: 2, stderr: /no database "template1"/ })
      t.match(await adopt('hooli', 'hers', '--baseline', 'nothing'), { code: 5, stderr: /no migration "nothing"/ })
      t.match(await run(['tenant', 'give-away', 'globex', '--to', 'nobody', '--confirm', 'globex']), {
        code: 1,
        stderr: /no role nobody/
      })
    }
  )
}
