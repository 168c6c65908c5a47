import { readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import t from 'tap'
import { databaseById } from '../../src/catalog/databases.js'
import { findTenant } from '../../src/catalog/tenants.js'
import type { Context } from '../../src/operations/kind.js'
import { Operations } from '../../src/operations/operations.js'
import { applyPlans } from '../../src/templates/plans.js'
import { createTenant, type NewTenant } from '../../src/tenants/create.js'
import { tenantDsn } from '../../src/tenants/enter.js'
import { migrateTenant, planTenantMigration } from '../../src/tenants/migrate.js'
import { resumeTenant } from '../../src/tenants/resume.js'
import { suspendTenant } from '../../src/tenants/suspend.js'
import { updateTenant } from '../../src/tenants/update.js'
import { controlPlane } from '../support/control-plane.js'
import { asSuperuser, skipWithoutPostgres } from '../support/servers.js'
import { settle } from '../support/settle.js'
import { tinyTemplate } from '../support/tiny-template.js'

if (!(await skipWithoutPostgres(t))) {
  const template = await tinyTemplate()
  t.teardown(() => template.remove())
  const plane = await controlPlane({ env: template.env })
  t.teardown(() => plane.close())
  const { saasctl } = plane
  const { catalog } = saasctl
  const wait = { wait: true }
  const create = (slug: string, more: Partial<NewTenant> = {}) =>
    createTenant(saasctl, { slug, ...more }, { template: 'tiny' }, wait)
  const status = async (slug: string) => (await findTenant(catalog, slug))?.status

  async function connect(slug: string, readOnly = false): Promise<pg.Client> {
    const client = new pg.Client({ connectionString: await tenantDsn(saasctl, slug, { readOnly, reveal: true }) })
    client.on('error', () => {})
    await client.connect()
    return client
  }

  /** Whether the application gets in. */
  async function getsIn(slug: string, readOnly = false): Promise<boolean> {
    try {
      await (await connect(slug, readOnly)).end()
      return true
    } catch (error) {
      if ((error as { code?: string }).code === '28000') return false
      throw error
    }
  }

  t.test('a suspended tenant is refused by the server itself, and its sessions are ended', async t => {
    await create('acme')
    const session = await connect('acme')
    t.equal((await suspendTenant(saasctl, 'acme', { ...wait, reason: 'unpaid' })).tenant.status, 'suspended')
    await t.rejects(session.query('select 1'))
    await session.end().catch(() => {})
    t.equal(await getsIn('acme'), false)
    t.equal(await getsIn('acme', true), true, 'its data can still be looked at')
    t.equal((await suspendTenant(saasctl, 'acme', wait)).operation.status, 'succeeded', 'suspending again is OK')
    t.equal((await resumeTenant(saasctl, 'acme', wait)).tenant.status, 'active')
    t.equal(await getsIn('acme'), true)
    const { database } = (await findTenant(catalog, 'acme')) ?? {}
    await asSuperuser(plane.server, client => client.query(`alter role "${database}a" nologin`))
    t.equal(await getsIn('acme'), false)
    t.equal(
      (await resumeTenant(saasctl, 'acme', wait)).tenant.status,
      'active',
      'resuming an active one opens what somebody closed by hand'
    )
    t.equal(await getsIn('acme'), true)
  })

  /** A context that does something at a moment of an operation's step, as somebody else would at just that time. */
  function interrupted(kind: string, step: string, moment: string, act: () => void): Context {
    const operations = new Operations(saasctl, {
      ...saasctl.operations.settings,
      owner: 'the interrupted one',
      failpoint: (atKind, atStep, atMoment) => {
        if (atKind === kind && atStep === step && atMoment === moment) act()
      }
    })
    return { ...saasctl, operations }
  }

  for (const moment of ['begun', 'acted'] as const) {
    t.test(`a suspension wins over a resume that has ${moment}`, async t => {
      const slug = `resumed-${moment}`
      await create(slug)
      await suspendTenant(saasctl, slug, wait)
      let suspension: Promise<unknown> | undefined
      const context = interrupted('tenant.resume', 'open logins', moment, () => {
        suspension ??= suspendTenant(saasctl, slug, wait)
      })
      await resumeTenant(context, slug, wait).catch(error => t.match(error, { code: 'CANCELLED' }))
      await suspension
      await settle(saasctl)
      t.equal(await status(slug), 'suspended')
      t.equal(await getsIn(slug), false)
    })
  }

  /** Resumes a tenant, and does something while the resume is in the middle of opening the logins. */
  async function whileResuming(slug: string, act: () => Promise<unknown>): Promise<string> {
    const { database } = (await findTenant(catalog, slug)) ?? {}
    let resuming: Promise<string> = Promise.resolve('')
    await asSuperuser(plane.server, async client => {
      await client.query('begin')
      await client.query(`alter role "${database}a" connection limit 4`)
      resuming = resumeTenant(saasctl, slug, wait).then(
        () => 'resumed',
        (error: { code: string }) => error.code
      )
      await sessionThat(`wait_event_type = 'Lock' and query ~ 'ALTER ROLE'`)
      await act()
      await client.query('commit')
    })
    return resuming
  }

  async function sessionThat(does: string): Promise<void> {
    const sql = `select from pg_stat_activity where ${does}`
    while (!(await asSuperuser(plane.server, client => client.query(sql))).rowCount) {
      await new Promise(resolve => setTimeout(resolve, 10))
    }
  }

  t.test('a resume that comes to its end after a suspension was promised takes back what it opened', async t => {
    await create('overtaken')
    await suspendTenant(saasctl, 'overtaken', wait)
    const ended = await whileResuming('overtaken', () => suspendTenant(saasctl, 'overtaken', { wait: false }))
    t.equal(ended, 'CANCELLED')
    await settle(saasctl)
    t.equal(await status('overtaken'), 'suspended')
    t.equal(await getsIn('overtaken'), false)
  })

  t.test('a suspension and the last step of a resume do not wait for each other in a circle', async t => {
    await create('circle')
    await suspendTenant(saasctl, 'circle', wait)
    let suspending: Promise<unknown> = Promise.resolve()
    const ended = await plane.catalogAsSuperuser(async client => {
      await client.query(`
        create function public.slowly() returns trigger language plpgsql as $$ begin perform pg_advisory_xact_lock(4711); return new; end $$;
        create trigger slowly after update on saasctl.tenant for each row when (new.status = 'suspended') execute function public.slowly();
        select pg_advisory_lock(4711)`)
      return whileResuming('circle', async () => {
        suspending = suspendTenant(saasctl, 'circle', { wait: false })
        suspending.catch(() => {})
        await sessionThat(`wait_event = 'advisory'`)
        // Holds the suspension between its two writes for as long as the resume needs to come to its own.
        setTimeout(() => void client.query('select pg_advisory_unlock(4711)'), 500)
      })
    })
    await t.resolves(suspending, 'the suspension is not the victim')
    await plane.catalogAsSuperuser(client => client.query('drop trigger slowly on saasctl.tenant'))
    t.equal(ended, 'CANCELLED')
    await settle(saasctl)
    t.equal(await status('circle'), 'suspended')
    t.equal(await getsIn('circle'), false)
  })

  /** What the server itself enforces. */
  async function limits(slug: string): Promise<Record<string, unknown>> {
    const { database: name } = (await findTenant(catalog, slug)) ?? {}
    return asSuperuser(plane.server, async client => {
      const { rows } = await client.query<Record<string, unknown>>(
        `select (select datconnlimit from pg_database where datname = $1) as database,
           (select array_agg(rolconnlimit order by rolname) from pg_roles where rolname in ($1 || 'a', $1 || 'b')) as app,
           (select rolconnlimit from pg_roles where rolname = $1 || 'ro') as readonly,
           (select setconfig from pg_db_role_setting where setrole = ($1 || 'a')::regrole and setdatabase <> 0) as settings`,
        [name]
      )
      return rows[0] ?? {}
    })
  }

  const small = { database: 14, app: [4, 4], readonly: 5, settings: ['statement_timeout=4000ms'] }
  const large = { database: 18, app: [8, 8], readonly: 5, settings: ['statement_timeout=8000ms'] }

  t.test('a plan’s limits are on the server when its change returns', async t => {
    await create('growing')
    t.strictSame(await limits('growing'), small)
    const { tenant, operation } = await updateTenant(saasctl, 'growing', { plan: 'large' }, wait)
    t.equal(tenant.plan, 'large')
    t.equal(operation?.kind, 'tenant.limits')
    t.strictSame(await limits('growing'), large)
    t.match(await databaseById(catalog, tenant.databaseId ?? ''), {
      limits: { connections: 8, statementTimeoutMs: 8000 }
    })
    const clients = await Promise.all(Array.from({ length: 8 }, () => connect('growing')))
    await t.rejects(connect('growing'), { code: '53300' }, 'the ninth connection is refused')
    const [first] = clients
    t.strictSame((await first?.query('show statement_timeout'))?.rows, [{ statement_timeout: '8s' }])
    for (const client of clients) await client.end()
    await updateTenant(saasctl, 'growing', { plan: 'small' }, wait)
    t.strictSame(await limits('growing'), small, 'and back')
    t.equal(
      (await updateTenant(saasctl, 'growing', { plan: 'small' }, wait)).operation,
      null,
      'the same plan again is no work'
    )
    await t.rejects(updateTenant(saasctl, 'growing', { plan: 'gigantic' }, wait), { code: 'PLAN_NOT_FOUND' })
  })

  t.test('a plan that changed is brought to a tenant that has it', async t => {
    const file = join(template.env.SAASCTL_TEMPLATES, 'plans.json')
    const before = await readFile(file, 'utf8')
    const plans = JSON.parse(before)
    plans.small.limits.connections = 6
    await writeFile(file, JSON.stringify(plans))
    t.strictSame(
      (await applyPlans(saasctl)).filter(({ limitsChanged }) => limitsChanged).map(({ name }) => name),
      ['small']
    )
    plans.small.displayName = 'Small again'
    await writeFile(file, JSON.stringify(plans))
    t.match(
      (await applyPlans(saasctl)).find(({ name }) => name === 'small'),
      { changed: true, limitsChanged: false },
      'another name is no other limits'
    )
    t.strictSame(await limits('growing'), small, 'not by itself')
    await updateTenant(saasctl, 'growing', { plan: 'small' }, wait)
    t.match(await limits('growing'), { app: [6, 6] })
    await writeFile(file, before)
    await applyPlans(saasctl)
    await updateTenant(saasctl, 'growing', { plan: 'small' }, wait)
    t.strictSame(await limits('growing'), small)
  })

  t.test('when the server does not take the limits, the tenant keeps its plan', async t => {
    await create('stuck')
    const stopping = interrupted('tenant.limits', 'set limits', 'acted', () => {
      throw new Error('no')
    })
    await t.rejects(updateTenant(stopping, 'stuck', { plan: 'large', labels: { a: 'b' } }, wait), { message: 'no' })
    t.equal((await findTenant(catalog, 'stuck'))?.plan, 'small')
    t.strictSame(await limits('stuck'), small, 'and the limits that go with it')
  })

  t.test('labels are added, replaced and taken away one by one', async t => {
    const { tenant } = await create('labels', { labels: { a: '1', b: '2' } })
    const change = async (labels: Record<string, string | null>) =>
      (await updateTenant(saasctl, 'labels', { labels }, wait)).tenant.labels
    t.strictSame(tenant.labels, { a: '1', b: '2' })
    t.strictSame(await change({ b: '3', c: '4' }), { a: '1', b: '3', c: '4' })
    t.strictSame(await change({ a: null, nothing: null }), { b: '3', c: '4' })
    t.strictSame(await change({ b: null, c: null }), {})
    const [both] = await Promise.all([change({ x: '1' }), change({ y: '2' })])
    t.ok(both)
    t.strictSame((await findTenant(catalog, 'labels'))?.labels, { x: '1', y: '2' }, 'two at once lose nothing')
    const { tenant: named } = await updateTenant(saasctl, 'labels', { displayName: 'A "name" — 名前' }, wait)
    t.match(named, { displayName: 'A "name" — 名前', labels: { x: '1', y: '2' } })
    await t.rejects(updateTenant(saasctl, 'labels', { labels: JSON.parse('{"__proto__": "x"}') }, wait), {
      code: 'INVALID_INPUT'
    })
    await t.rejects(create('odd', { labels: { 'Not a key': 'x' } }), { code: 'INVALID_INPUT' })
  })

  t.test('a tenant is migrated up, to a migration, and down, as its own owner', async t => {
    await create('mover')
    const at = async () => (await findTenant(catalog, 'mover'))?.migration
    t.equal(await at(), '0002_grown')
    await template.grow({ up: 'create table third (id int);', down: 'drop table third;' })
    await template.grow({ up: 'create table fourth (id int);', down: 'drop table fourth;' })
    await template.grow({ up: 'create table fifth (id int);', down: 'drop table fifth;' })
    const move = (direction: 'up' | 'down', to: string | null = null) =>
      migrateTenant(saasctl, 'mover', { direction, to }, wait)
    const plan = await planTenantMigration(saasctl, 'mover', { direction: 'up', to: '0004_grown' })
    t.strictSame(
      plan.map(({ file }) => file.name),
      ['0003_grown', '0004_grown']
    )
    t.equal(await at(), '0002_grown', 'a plan changes nothing')
    await move('up', '0003_grown')
    t.equal(await at(), '0003_grown')
    await move('up')
    t.equal(await at(), '0005_grown')
    t.equal((await move('up')).operation.status, 'succeeded', 'nothing to do is no error')
    await move('down')
    t.equal(await at(), '0004_grown')
    await move('down', '0002_grown')
    t.equal(await at(), '0002_grown')
    await t.rejects(move('up', '0009_nowhere'), {
      code: 'MIGRATION_NOT_FOUND',
      message: 'There is no migration "0009_nowhere".'
    })
    await t.rejects(move('down', '0005_grown'), {
      code: 'MIGRATION_NOT_FOUND',
      message: 'Migration 0005_grown is not applied to this database.'
    })
    await move('up')
    const client = await connect('mover')
    const owners = await client.query(`select distinct tableowner as owner from pg_tables where schemaname = 'public'`)
    await client.end()
    t.match(owners.rows, [{ owner: /own$/ }], 'every table is the owner’s')
  })

  t.test('a migration that fails is undone, what came before it stays, and the ledger says so', async t => {
    const good = await template.grow({ up: 'create table good (id int);', down: 'drop table good;' })
    const bad = await template.grow({
      up: 'create table half (id int);\ncreate table good (id int);',
      down: 'drop table half;'
    })
    await t.rejects(migrateTenant(saasctl, 'mover', { direction: 'up', to: null }, wait), {
      code: 'MIGRATION_FAILED',
      message: new RegExp(bad)
    })
    t.equal((await findTenant(catalog, 'mover'))?.migration, good)
    const client = await connect('mover')
    const tables = await client.query(`select tablename as name from pg_tables where tablename in ('good', 'half')`)
    await client.end()
    t.strictSame(tables.rows, [{ name: 'good' }])
    await rm(join(template.migrations, `${bad}.sql`))
    await migrateTenant(saasctl, 'mover', { direction: 'up', to: null }, wait)
  })

  t.test('an applied migration that was edited, removed or overtaken is refused by its name', async t => {
    const up = () => migrateTenant(saasctl, 'mover', { direction: 'up', to: null }, wait)
    const path = join(template.migrations, '0003_grown.sql')
    const before = await readFile(path, 'utf8')
    await writeFile(path, before.replace('third (id int)', 'third (id bigint)'))
    await t.rejects(up(), {
      code: 'MIGRATION_CHANGED',
      exit: 6,
      message: 'Migration 0003_grown was edited after it was applied.'
    })
    await rm(path)
    await t.rejects(up(), {
      code: 'MIGRATION_CHANGED',
      message: 'Migration 0003_grown is applied, but its file is gone.'
    })
    await writeFile(path, before)
    await up()
    const late = join(template.migrations, '0002_late.sql')
    await writeFile(late, '-- Up Migration\ncreate table late (id int);\n')
    await t.rejects(up(), {
      code: 'MIGRATION_CHANGED',
      message: 'Migration 0002_late comes before 0006_grown, which is applied.'
    })
    await writeFile(late, '-- saasctl: out_of_order=true\n-- Up Migration\ncreate table late (id int);\n')
    await up()
    t.equal((await findTenant(catalog, 'mover'))?.migration, '0006_grown', 'unless it says that it may come late')
    await t.rejects(migrateTenant(saasctl, 'mover', { direction: 'down', to: null }, wait), {
      code: 'MIGRATION_NOT_FOUND',
      message: 'Migration 0002_late has no down part.'
    })
    await rename(late, join(template.migrations, '0002_later.sql'))
    await t.rejects(up(), {
      code: 'MIGRATION_CHANGED',
      message: /^Migration 0002_late is applied, but its file is gone/
    })
  })
}
