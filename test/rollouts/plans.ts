import t from 'tap'
import { findTenant } from '../../src/index.js'
import { startRollout } from '../../src/rollouts/control.js'
import { estimateLeft } from '../../src/rollouts/estimate.js'
import { mustFindRollout } from '../../src/rollouts/find.js'
import { followRollout } from '../../src/rollouts/follow.js'
import { planRollout, schemasOf } from '../../src/rollouts/plan.js'
import { rehearseRollout } from '../../src/rollouts/rehearse.js'
import { createTenant } from '../../src/tenants/create.js'
import { suspendTenant } from '../../src/tenants/suspend.js'
import { asTenantOwner } from '../support/as-owner.js'
import { startVerb } from '../support/child.js'
import { controlPlane } from '../support/control-plane.js'
import { eventually } from '../support/eventually.js'
import { fleetAudit } from '../support/fleet-audit.js'
import { planned, tinyWish } from '../support/rollout-wish.js'
import { asSuperuser, skipWithoutPostgres } from '../support/servers.js'
import { settle } from '../support/settle.js'
import { takeOver } from '../support/take-over.js'
import { tinyTemplate } from '../support/tiny-template.js'

if (!(await skipWithoutPostgres(t))) {
  const tiny = await tinyTemplate()
  t.teardown(() => tiny.remove())
  const plane = await controlPlane({ env: { ...tiny.env, SAASCTL_LEASE: '300ms' } })
  t.teardown(() => plane.close())
  const { saasctl } = plane
  const slugs = ['acme', 'globex', 'initech']
  for (const slug of slugs) await createTenant(saasctl, { slug, plan: 'small' }, { template: 'tiny' }, { wait: true })
  const plan = (...wish: Parameters<typeof tinyWish>) => planRollout(saasctl, tinyWish(...wish))
  const roll = async (id: string) => {
    await startRollout(saasctl, id)
    return followRollout(saasctl, id, {})
  }
  const ask = <T extends object>(slug: string, sql: string) =>
    asTenantOwner(saasctl, slug, async client => (await client.query<T>(sql)).rows)
  const audit = async () => {
    await settle(saasctl)
    return fleetAudit(plane)
  }
  const ledger = async (slug: string) =>
    (await ask<{ name: string }>(slug, 'select name from saasctl.pgmigrations order by id')).map(({ name }) => name)

  await t.test('a plan names the tenants, and the biggest that each statement would hit, by its table', async t => {
    await ask('globex', `insert into notes select n, repeat('x', 500) from generate_series(2, 4000) n`)
    const name = await tiny.grow({ up: 'create index on notes (body);\nalter table tags add n int;', down: '' })
    const found = await plan()
    t.strictSame(found.tenants.toSorted(), slugs)
    t.match(found.largest, [{ slug: 'globex' }])
    t.match(found.findings, [
      { file: `${name}.sql`, line: 2, code: 'index.blocking', table: 'notes', hits: { slug: 'globex', table: true } }
    ])
    t.ok((found.findings[0]?.hits?.bytes ?? 0) > 2_000_000, 'it is the size of the table')
    t.ok((found.findings[0]?.hits?.bytes ?? 0) < (found.largest[0]?.bytes ?? 0), 'and not of the database')
    t.equal(found.estimateMs, null, 'nothing was ever rolled out')
    t.equal((await roll(found.id ?? '')).rollout.status, 'succeeded', 'a warning stops nothing')
  })

  await t.test('how long it will take is known from what each file took before, and from its own canary', async t => {
    const slow = await tiny.grow({ up: 'select pg_sleep(0.2);', down: '' })
    const wish = { selector: { slugs: ['acme'] }, wholeFleet: false }
    t.type((await plan(wish)).estimateMs, 'number', 'a new file is taken for one like the others')
    await roll(await planned(saasctl, wish))
    const rest = await plan({}, { perServer: 1 })
    t.ok((rest.estimateMs ?? 0) >= 400, `two tenants of ${slow}, one after the other`)
    t.ok(((await plan({}, { perServer: 1, soakMs: 60_000, canary: 1 })).estimateMs ?? 0) >= 60_400, 'and a soak')
    const rollout = await mustFindRollout(saasctl.catalog, rest.id ?? '')
    t.equal(await estimateLeft(saasctl.catalog, rollout, await schemasOf(saasctl, 'tiny')), rest.estimateMs)
    await roll(rest.id ?? '')
  })

  await t.test('an error of the lint stops the start, unless somebody has looked and says so', async t => {
    await tiny.grow({
      up: `create function f() returns int language sql security definer as 'select 1';`,
      down: 'drop function f();'
    })
    const id = await planned(saasctl)
    await t.rejects(startRollout(saasctl, id), {
      code: 'ROLLOUT_REFUSED',
      message: /0005_grown\.sql:2, function\.search-path/,
      hint: /--allow function\.search-path/
    })
    await startRollout(
      saasctl,
      await planned(saasctl, { allow: ['function.search-path'], selector: { slugs: ['acme'] } })
    )
    const [open] = await saasctl.catalog.query<{ id: string }>(
      `select id from saasctl.rollout where status = 'running'`
    )
    await followRollout(saasctl, open?.id ?? '', {})
    const other = await planned(saasctl)
    await startRollout(saasctl, other, { allow: ['function.search-path'] })
    t.equal((await followRollout(saasctl, other, {})).rollout.status, 'succeeded')
  })

  await t.test('a dry run shows how long each file takes on a clone of the template, and leaves nothing', async t => {
    const name = await tiny.grow({ up: 'select pg_sleep(0.05);', down: '' })
    const id = await planned(saasctl)
    const [tried] = await rehearseRollout(saasctl, id)
    t.match(tried, { engine: 'postgres', tenant: null, files: [{ name }] })
    t.equal(tried?.files.length, 1, 'the clone had the others')
    t.ok((tried?.files[0]?.ms ?? 0) >= 50)
    t.strictSame(await audit(), [])
    t.notOk((await ledger('acme')).includes(name))
    t.ok(((await plan({}, { perServer: 1 })).estimateMs ?? 0) >= 150, 'and the next plan knows')
  })

  await t.test('it runs on a clone of a tenant with its rows, which nobody can enter while it is copied', async t => {
    await tiny.grow({ up: 'alter table notes add constraint short check (length(body) < 100);', down: '' })
    const id = await planned(saasctl)
    const [fine] = await rehearseRollout(saasctl, id)
    t.equal(fine?.files.length, 2, 'on the template, with its one row, it works')
    const before = await ledger('globex')
    let closed = false
    await t.rejects(
      rehearseRollout(saasctl, id, {
        on: 'globex',
        onProgress: ({ note }) => {
          closed ||= /nobody can enter globex/.test(note ?? '')
        }
      }),
      { code: 'MIGRATION_FAILED', message: /0007_grown:2.*is violated by some row/ }
    )
    t.ok(closed)
    t.strictSame(await ledger('globex'), before, 'nothing was written to the tenant')
    t.strictSame(await audit(), [], 'it is open again, and the clone is gone')
    t.match(await rehearseRollout(saasctl, id, { on: 'acme' }), [{ tenant: 'acme', files: [{}, {}] }])
    await suspendTenant(saasctl, 'initech', { wait: true })
    t.match(await rehearseRollout(saasctl, id, { on: 'initech' }), [{ tenant: 'initech' }])
    t.strictSame(await audit(), [], 'a suspended one stays suspended')
    await t.rejects(rehearseRollout(saasctl, id, { on: 'nobody' }), { code: 'TENANT_NOT_FOUND' })
    const few = await planned(saasctl, { selector: { slugs: ['acme'] }, wholeFleet: false })
    await t.rejects(rehearseRollout(saasctl, few, { on: 'globex' }), { code: 'ROLLOUT_STATE', message: /no target/ })
    await ask('globex', 'delete from notes where id > 1')
    await roll(id)
    await t.rejects(rehearseRollout(saasctl, id), { code: 'ROLLOUT_STATE' })
  })

  await t.test('killed while the tenant is shut, it is opened again by whoever comes next', async t => {
    await tiny.grow()
    const { database } = await findTenant(saasctl.catalog, 'acme')
    const shut = () =>
      asSuperuser(plane.server, async client => {
        const { rows } = await client.query('select from pg_database where datname = $1 and not datallowconn', [
          database
        ])
        return rows.length > 0
      })
    const child = startVerb(plane.env, 'rehearse', { slug: 'acme' })
    // Whoever copies a database waits for who is about to comment on it; who shuts it does not.
    const line = await asSuperuser(plane.server, async client => {
      await client.query(`begin; comment on database "${database}" is 'nobody copies it now'`)
      const said = await child.says(({ progress }) => progress?.note !== undefined)
      await eventually(shut, isShut => isShut)
      child.kill('SIGKILL')
      await child.ended
      await client.query('rollback')
      return said
    })
    t.ok(await shut(), 'nobody can enter')
    t.equal((await takeOver(plane, line.progress?.operation ?? '', 'next process')).status, 'succeeded')
    t.strictSame(await audit(), [])
    await roll(await planned(saasctl))
  })

  await t.test('the way back is tried, too', async t => {
    const id = await planned(saasctl, { direction: 'down', to: '0005_grown' })
    const [tried] = await rehearseRollout(saasctl, id)
    t.strictSame(
      tried?.files.map(({ name }) => name),
      ['0008_grown', '0007_grown', '0006_grown']
    )
  })

  await t.test('with nothing to do, a plan is one query, whatever the fleet', async t => {
    const asked: string[] = []
    const catalog = Object.create(saasctl.catalog, {
      query: {
        value: (sql: string, values?: unknown[]) => {
          asked.push(sql)
          return saasctl.catalog.query(sql, values)
        }
      }
    })
    const context = Object.assign(Object.create(saasctl), { catalog })
    t.match(await planRollout(context, tinyWish()), { id: undefined, targets: 0 })
    t.equal(asked.length, 1)
  })

  await t.test(
    'with nothing to do, --verify believes no catalog: it looks, and asks for no fingerprint twice',
    async t => {
      const first = await plan({ verify: true })
      t.match(first, { id: undefined, verified: { looked: 3, learned: [], drifted: [], failed: [] } })
      const stamps = await saasctl.catalog.query<{ stamp: string }>(
        `select schema_stamp as stamp from saasctl.database where kind = 'tenant' and schema_stamp is not null`
      )
      t.equal(stamps.length, 3)
      t.match(await plan({ verify: true }), { verified: { looked: 3, learned: [], drifted: [] } })
    }
  )

  await t.test('a schema that was changed by hand is found, and a ledger that moved is learned', async t => {
    await ask('acme', 'alter table notes add by_hand int')
    // What a session has done is counted a moment after it has gone.
    const found = await eventually(
      () => plan({ verify: true }),
      ({ verified }) => verified?.drifted.length !== 0
    )
    t.match(found, { id: undefined, verified: { drifted: ['acme'], learned: [] } })
    await ask('acme', 'alter table notes drop by_hand')
    await ask('globex', `delete from saasctl.pgmigrations where name = '0008_grown'`)
    const moved = await plan({ verify: true })
    t.match(moved, { tenants: ['globex'], verified: { learned: [{ slug: 'globex', after: '0007_grown' }] } })
    t.equal((await findTenant(saasctl.catalog, 'globex')).migration, '0007_grown')
    await ask('globex', 'drop table grown_7')
    t.equal((await roll(moved.id ?? '')).rollout.status, 'succeeded')
  })

  await t.test('one that cannot be looked at stops no other', async t => {
    const { database } = await findTenant(saasctl.catalog, 'acme')
    const set = (allowed: boolean) =>
      asSuperuser(plane.server, client => client.query(`alter database "${database}" allow_connections ${allowed}`))
    await set(false)
    t.teardown(() => set(true))
    t.match(await plan({ verify: true }), { verified: { looked: 2, failed: [{ slug: 'acme' }] } })
  })
}
