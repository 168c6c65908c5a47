import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import t from 'tap'
import { listOperations } from '../src/catalog/operations.js'
import { serverByName } from '../src/catalog/servers.js'
import { findTenant } from '../src/catalog/tenants.js'
import { cordonServer, uncordonServer, updateServer } from '../src/servers/change.js'
import { buildTemplate } from '../src/templates/build-template.js'
import { keepWarm } from '../src/templates/warm.js'
import { createTenant, type NewTenant } from '../src/tenants/create.js'
import { tenantDsn } from '../src/tenants/enter.js'
import { controlPlane } from './support/control-plane.js'
import { asSuperuser, skipWithoutPostgres } from './support/servers.js'
import { settle, settleOne } from './support/settle.js'
import { tinyTemplate } from './support/tiny-template.js'

if (!(await skipWithoutPostgres(t))) {
  const template = await tinyTemplate()
  t.teardown(() => template.remove())
  const plane = await controlPlane({ env: template.env })
  t.teardown(() => plane.close())
  const { saasctl } = plane
  const { catalog } = saasctl
  const wait = { wait: true }
  const build = (warm?: number, how = wait) => buildTemplate(saasctl, 'tiny', { again: false, warm }, how)
  const create = async (slug: string, more: Partial<NewTenant> = {}) => {
    const { tenant, operation } = await createTenant(saasctl, { slug, ...more }, { template: 'tiny' }, wait)
    const steps = await catalog.query('select from saasctl.operation_step where operation_id = $1', [operation.id])
    return { ...tenant, warm: steps.length === 0 }
  }

  interface Pooled {
    id: string
    name: string
    state: string
    migration: string | null
  }

  /** Databases that are kept for tenants to come, whatever their state. */
  const pool = (state = 'ready') =>
    catalog.query<Pooled>(
      `select d.id, d.name, d.state, d.migration from saasctl.database d
       where d.kind = 'tenant' and d.state = $1 and not exists (select from saasctl.placement p where p.database_id = d.id) order by d.id`,
      [state]
    )

  async function asTenant(slug: string, sql: string): Promise<unknown[]> {
    const client = new pg.Client({
      connectionString: await tenantDsn(saasctl, slug, { readOnly: false, reveal: true })
    })
    await client.connect()
    try {
      return (await client.query(sql)).rows
    } finally {
      await client.end()
    }
  }

  t.test('building with a number fills the pool; again it makes only what is missing', async t => {
    t.match(await build(3), [{ server: 'main', version: 1, built: true, warmed: 3, refreshed: 0 }])
    t.equal((await pool()).length, 3)
    t.match(await build(3), [{ version: 1, built: false, warmed: 0, refreshed: 0 }])
    t.match(await build(5), [{ warmed: 2 }])
    t.match(await build(), [{ warmed: 0 }], 'without a number the pool stays as it is')
    t.equal((await pool()).length, 5)
    t.equal((await serverByName(catalog, 'main'))?.databases, 6, 'each takes a place, the template as well')
  })

  t.test('many sign-ups at once each get another database, and the pool is used to the last', async t => {
    await build(10)
    const all = await Promise.all(Array.from({ length: 22 }, (_, index) => create(`rush-${index}`)))
    t.equal(new Set(all.map(({ database }) => database)).size, 22)
    t.ok(all.every(({ status }) => status === 'active'))
    t.equal(all.filter(({ warm }) => warm).length, 10)
    t.equal((await pool()).length, 0)
    t.equal((await serverByName(catalog, 'main'))?.databases, 23)
  })

  t.test('workers keep the number, also two at once, and not on a server that takes no tenants', async t => {
    const [one, other] = await Promise.all([keepWarm(saasctl), keepWarm(await plane.another())])
    t.equal(one + other, 10)
    t.equal(await keepWarm(saasctl), 0, 'those in the making count')
    await settle(saasctl)
    t.equal((await pool()).length, 10)
    await create('taker')
    await cordonServer(saasctl, 'main')
    t.equal(await keepWarm(saasctl), 0)
    await t.rejects(create('refused'), { code: 'NO_SERVER' }, 'nor is a warm one claimed there')
    t.equal((await pool()).length, 9)
    await uncordonServer(saasctl, 'main')
    t.equal(await keepWarm(saasctl), 1)
    await settle(saasctl)
    await updateServer(saasctl, 'main', { capacity: ((await serverByName(catalog, 'main'))?.databases ?? 0) + 1 })
    await create('another-taker')
    await create('and-another')
    t.equal(await keepWarm(saasctl), 1, 'no more than the server has room for')
    await updateServer(saasctl, 'main', { capacity: null })
    await settle(saasctl)
    await keepWarm(saasctl)
    await settle(saasctl)
    t.equal((await pool()).length, 10)
  })

  t.test('a claimed database gets the limits of its plan, and only one that fits the wish is claimed', async t => {
    const large = await create('large', { plan: 'large' })
    t.equal(large.warm, true)
    const { rows } = await asSuperuser(plane.server, client =>
      client.query(`select rolconnlimit as app from pg_roles where rolname = $1`, [`${large.database}a`])
    )
    t.strictSame(rows, [{ app: 8 }])
    const [limits] = (await listOperations(catalog, { tenantId: large.id, limit: 10 })).filter(
      ({ kind }) => kind === 'tenant.limits'
    )
    t.equal(limits?.status, 'succeeded')
    t.equal((await create('named', { server: 'main' })).warm, true)
    await t.rejects(create('regional', { region: 'mars' }), { code: 'NO_SERVER' })
    await t.rejects(create('other-engine', { engine: 'mysql' }), { code: 'NO_SERVER' })
  })

  t.test('the limits are promised in the transaction that claims the database', async t => {
    await createTenant(saasctl, { slug: 'promised', plan: 'large' }, { template: 'tiny' }, { wait: false })
    const same = await plane.catalogAsSuperuser(client =>
      client.query(`select t.xmin = o.xmin as same from saasctl.tenant t join saasctl.operation o on o.tenant_id = t.id
        where t.slug = 'promised' and o.kind = 'tenant.limits'`)
    )
    t.strictSame(same.rows, [{ same: true }])
    await settle(saasctl)
    await build(10)
  })

  t.test('when the template changes, warm databases are brought to it, and claimed again only then', async t => {
    const before = await pool()
    t.equal(before.length, 10)
    const head = await template.grow()
    await build(10, { wait: false })
    const open = await listOperations(catalog, { open: true, limit: 100 })
    const [building] = open.filter(({ kind }) => kind === 'template.build')
    t.equal(open.filter(({ kind }) => kind === 'warm.migrate').length, 10)
    t.equal(open.filter(({ kind }) => kind === 'warm.create').length, 0, 'none is made where one only has to follow')
    await settleOne(saasctl, building?.id ?? '')
    const cold = await create('in-between')
    t.equal(cold.warm, false, 'none of the old ones is claimed')
    t.equal(cold.migration, head)
    await settle(saasctl)
    const after = await pool()
    t.strictSame(
      after.map(({ id }) => id),
      before.map(({ id }) => id),
      'they are the same databases'
    )
    t.ok(after.every(({ migration }) => migration === head))
    const warm = await create('after')
    t.equal(warm.warm, true)
    t.equal(warm.migration, head)
    t.strictSame(await asTenant('after', 'select count(*)::int from grown_2'), [{ count: 0 }])
    await build(10)
    t.equal((await pool()).length, 10, 'and the number is what was asked for')
  })

  t.test('a seed that changes reaches the warm databases too', async t => {
    await writeFile(
      join(template.env.SAASCTL_TEMPLATES, 'tiny', 'seed.postgres.sql'),
      `insert into notes (id, body) values (1, 'seed'), (2, 'more') on conflict do nothing;\n`
    )
    t.match(await build(), [{ version: 3, built: true, warmed: 0, refreshed: 10 }])
    t.equal((await create('seeded')).warm, true)
    t.strictSame(await asTenant('seeded', 'select id from notes order by id'), [{ id: 1 }, { id: 2 }])
  })

  t.test('a warm database that cannot follow is dropped, the others go on, and the pool is filled again', async t => {
    const [odd, ...others] = await pool()
    await asSuperuser(plane.server, client => client.query('create table grown_3 (this_is int)'), odd?.name)
    const head = await template.grow()
    await t.rejects(build(), { code: 'MIGRATION_FAILED' })
    await settle(saasctl)
    t.strictSame(
      (await pool()).map(({ id }) => id),
      others.map(({ id }) => id)
    )
    t.ok((await pool()).every(({ migration }) => migration === head))
    const left = await asSuperuser(plane.server, client =>
      client.query('select from pg_database where datname = $1', [odd?.name])
    )
    t.equal(left.rowCount, 0)
    t.ok((await keepWarm(saasctl)) > 0)
    await settle(saasctl)
    t.equal((await pool()).length, 10)
    t.equal((await findTenant(catalog, 'after'))?.migration, '0003_grown', 'tenants stay where they are')
  })

  t.test('a template that is built again changes nothing for the pool', async t => {
    const before = await pool()
    t.match(await buildTemplate(saasctl, 'tiny', { again: true, warm: undefined }, wait), [
      { built: true, warmed: 0, refreshed: 0 }
    ])
    await settle(saasctl)
    t.strictSame(await pool(), before)
    t.equal((await create('again')).warm, true)
    t.equal((await pool('building')).length, 0)
  })
}
