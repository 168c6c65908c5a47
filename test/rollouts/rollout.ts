import t from 'tap'
import { findTenant } from '../../src/index.js'
import {
  abortRollout,
  pauseRollout,
  planUndo,
  resumeRollout,
  retryRollout,
  showRollout,
  startRollout
} from '../../src/rollouts/control.js'
import { followRollout } from '../../src/rollouts/follow.js'
import { planRollout, type RolloutWish } from '../../src/rollouts/plan.js'
import { type RolloutSettings, usualSettings } from '../../src/rollouts/settings.js'
import { rolloutStatus } from '../../src/rollouts/status.js'
import { createTenant } from '../../src/tenants/create.js'
import { asTenantOwner } from '../support/as-owner.js'
import { controlPlane } from '../support/control-plane.js'
import { skipWithoutPostgres } from '../support/servers.js'
import { tinyTemplate } from '../support/tiny-template.js'

if (!(await skipWithoutPostgres(t))) {
  const tiny = await tinyTemplate()
  t.teardown(() => tiny.remove())
  const plane = await controlPlane({ env: tiny.env })
  t.teardown(() => plane.close())
  const { saasctl } = plane
  const slugs = Array.from({ length: 12 }, (_, index) => `tenant-${index}`)
  for (const slug of slugs) await createTenant(saasctl, { slug, plan: 'small' }, { template: 'tiny' }, { wait: true })

  const wish = (more: Partial<RolloutWish> = {}, settings: Partial<RolloutSettings> = {}): RolloutWish => ({
    template: 'tiny',
    selector: {},
    wholeFleet: true,
    direction: 'up',
    to: null,
    allow: [],
    settings: { ...usualSettings, ...settings },
    ...more
  })
  const planned = async (...args: Parameters<typeof wish>) => {
    const { id } = await planRollout(saasctl, wish(...args))
    if (id === undefined) throw new Error('There was nothing to do.')
    return id
  }
  const migrations = async () => {
    const found = await Promise.all(slugs.map(slug => findTenant(saasctl.catalog, slug)))
    return [...new Set(found.map(({ migration }) => migration))]
  }
  /** Makes the tenant's next migration fail: what it would create is there already. */
  const poison = (slug: string, table: string) =>
    asTenantOwner(saasctl, slug, client => client.query(`create table ${table} ()`))
  const cure = (slug: string, table: string) =>
    asTenantOwner(saasctl, slug, client => client.query(`drop table ${table}`))

  await t.test('with nothing to do nothing is kept', async t => {
    const plan = await planRollout(saasctl, wish())
    t.match(plan, { id: undefined, targets: 0, waves: [] })
    await t.rejects(planRollout(saasctl, wish({}, { waves: [{ percent: 50 }, { percent: 10 }, { percent: 100 }] })), {
      code: 'INVALID_INPUT',
      message: 'The wave to 10% does not go beyond the one to 50%.'
    })
  })

  await t.test('a plan says whom and what, and a start does it wave by wave', async t => {
    const name = await tiny.grow()
    const plan = await planRollout(saasctl, wish({}, { canary: 2, waves: [{ percent: 50 }, { percent: 100 }] }))
    t.match(plan, { targets: 12, migrations: { postgres: [name] } })
    t.strictSame(plan.waves, [
      { name: 'canary', size: 2 },
      { name: '50%', size: 4 },
      { name: '100%', size: 6 }
    ])
    await startRollout(saasctl, plan.id ?? '')
    const { rollout, waves } = await followRollout(saasctl, plan.id ?? '', {})
    t.equal(rollout.status, 'succeeded')
    t.strictSame(
      waves.map(({ done, failed }) => [done, failed]),
      [
        [2, 0],
        [4, 0],
        [6, 0]
      ]
    )
    t.strictSame(await migrations(), [name])
    for (const [index, wave] of waves.entries()) {
      const next = waves[index + 1]
      if (next) t.ok((wave.finishedAt ?? 0) <= (next.startedAt ?? 0), `${wave.name} is over before ${next.name} begins`)
    }
    const made = await createTenant(saasctl, { slug: 'newcomer', plan: 'small' }, { template: 'tiny' }, { wait: true })
    t.equal(made.tenant.migration, name, 'and new tenants start there')
  })

  await t.test('a tenant that fails stops no other, is named, and can be tried again', async t => {
    const table = 'grown_3'
    await poison('tenant-3', table)
    const name = await tiny.grow()
    const id = await planned({}, { brakes: { failures: null, percent: null, consecutive: null } })
    await startRollout(saasctl, id)
    const { rollout, failures, waves } = await followRollout(saasctl, id, {})
    t.equal(rollout.status, 'failed')
    t.match(failures, [{ slug: 'tenant-3', error: { code: 'MIGRATION_FAILED' } }])
    t.equal(waves[0]?.done, 12, 'the eleven others and the newcomer')
    await cure('tenant-3', table)
    await retryRollout(saasctl, id)
    t.equal((await followRollout(saasctl, id, {})).rollout.status, 'succeeded')
    t.strictSame(await migrations(), [name])
    await t.rejects(retryRollout(saasctl, id), { code: 'ROLLOUT_STATE' })
  })

  await t.test('brakes stop it, and it goes on where it stood', async t => {
    const table = 'grown_4'
    for (const slug of slugs.slice(0, 6)) await poison(slug, table)
    await tiny.grow()
    const brakes = { failures: 2, percent: null, consecutive: null }
    const id = await planned({}, { brakes, perServer: 1 })
    await startRollout(saasctl, id)
    const stopped = await followRollout(saasctl, id, {})
    t.match(stopped.rollout, { status: 'braked', reason: /have failed; the brake is at 2/ })
    t.ok((stopped.waves[0]?.pending ?? 0) > 0, 'some were never begun')
    for (const slug of slugs.slice(0, 6)) await cure(slug, table)
    await retryRollout(saasctl, id)
    t.equal((await followRollout(saasctl, id, {})).rollout.status, 'succeeded')
  })

  await t.test('between two waves a gate must open', async t => {
    await tiny.grow()
    const settings = { canary: 1, gates: [{ kind: 'command', run: 'exit 3' } as const] }
    const id = await planned({}, settings)
    await startRollout(saasctl, id)
    const { rollout, waves } = await followRollout(saasctl, id, {})
    t.match(rollout, { status: 'braked', reason: /"exit 3" ended with 3/ })
    t.strictSame(
      waves.map(({ done }) => done),
      [1, 0]
    )
    await abortRollout(saasctl, id)
    t.match(
      (await showRollout(saasctl, id)).waves.map(({ skipped }) => skipped),
      [0, 12]
    )
    const open = { kind: 'sql', query: 'select count(*) = 1 from notes' } as const
    const again = await planned(
      {},
      { canary: 1, gates: [open, { kind: 'command', run: 'test -n "$SAASCTL_ROLLOUT"' }] }
    )
    await startRollout(saasctl, again)
    t.equal((await followRollout(saasctl, again, {})).rollout.status, 'succeeded')
  })

  await t.test('what was planned is what runs, or nothing does', async t => {
    await tiny.grow()
    const id = await planned({ selector: { slugs: ['tenant-0', 'tenant-1'] }, wholeFleet: false })
    await tiny.grow()
    const other = await planned()
    await startRollout(saasctl, id)
    await followRollout(saasctl, id, {})
    await t.rejects(startRollout(saasctl, other), { code: 'ROLLOUT_CHANGED', message: /is not where it was/ })
    const third = await planned()
    await startRollout(saasctl, third)
    t.equal((await followRollout(saasctl, third, {})).rollout.status, 'succeeded')
  })

  await t.test('it can be paused, and a second one of the template has to wait', async t => {
    await tiny.grow()
    const id = await planned({}, { canary: 1, soakMs: 60_000 })
    const second = await planned()
    await startRollout(saasctl, id)
    await t.rejects(startRollout(saasctl, second), { code: 'ROLLOUT_BUSY' })
    await pauseRollout(saasctl, id)
    t.equal((await followRollout(saasctl, id, {})).rollout.status, 'paused')
    await t.rejects(pauseRollout(saasctl, id), { code: 'ROLLOUT_STATE' })
    await resumeRollout(saasctl, id)
    await abortRollout(saasctl, id)
    await t.rejects(resumeRollout(saasctl, id), { code: 'ROLLOUT_STATE' })
    const last = await planned()
    await startRollout(saasctl, last)
    await followRollout(saasctl, last, {})
  })

  await t.test('a lane that works fewer databases at once than it may says so, in the status too', async t => {
    await plane.catalogAsSuperuser(client =>
      client.query(`
        create table said (at_once int); grant insert on said to public;
        create function say() returns trigger language plpgsql as
          $$ begin insert into public.said values ((new.result->>'atOnce')::int); return null; end $$;
        create trigger say after update of result on saasctl.operation for each row
          when (new.kind = 'rollout.lane' and new.status = 'running') execute function say()`)
    )
    await tiny.grow()
    const id = await planned()
    await startRollout(saasctl, id)
    t.match(await rolloutStatus(saasctl, id), [{ lanes: [{ atOnce: 4, atMost: 4 }] }], 'nobody works it yet')
    t.equal((await followRollout(saasctl, id, {})).rollout.status, 'succeeded')
    const [{ fewest } = { fewest: null }] = await plane.catalogAsSuperuser(
      async client => (await client.query<{ fewest: number }>('select min(at_once) as fewest from said')).rows
    )
    t.ok(fewest !== null && fewest < 4, `it began with few: ${fewest}`)
    await plane.catalogAsSuperuser(client => client.query('drop function say() cascade; drop table said'))

    await tiny.grow()
    const next = await planned()
    await startRollout(saasctl, next)
    await plane.catalogAsSuperuser(client =>
      client.query(
        `update saasctl.operation set result = '{"atOnce": 2}' where kind = 'rollout.lane' and status = 'queued'`
      )
    )
    t.match(await rolloutStatus(saasctl, next), [{ lanes: [{ server: 'main', atOnce: 2, atMost: 4 }] }])
    t.equal((await followRollout(saasctl, next, {})).rollout.status, 'succeeded')
  })

  await t.test('it is undone for exactly the tenants that it has migrated', async t => {
    const [before] = await migrations()
    await tiny.grow()
    const id = await planned({ selector: { slugs: ['tenant-2', 'tenant-5'] }, wholeFleet: false })
    await startRollout(saasctl, id)
    await followRollout(saasctl, id, {})
    const undo = await planUndo(saasctl, id, usualSettings)
    await startRollout(saasctl, undo.id)
    t.equal((await followRollout(saasctl, undo.id, {})).rollout.status, 'succeeded')
    t.strictSame(await migrations(), [before])
  })

  await t.test('while a tenant is migrated nothing else is done to it', async t => {
    const operations = await saasctl.catalog.query<{ n: number }>(
      `select count(*)::int as n from saasctl.operation where kind = 'rollout.target' and status in ('queued', 'running', 'waiting', 'undoing')`
    )
    t.equal(operations[0]?.n, 0, 'and afterwards nothing is held')
  })
}
