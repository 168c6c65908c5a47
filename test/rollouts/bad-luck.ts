import t from 'tap'
import { findTenant } from '../../src/index.js'
import {
  abortRollout,
  pauseRollout,
  resumeRollout,
  retryRollout,
  showRollout,
  startRollout
} from '../../src/rollouts/control.js'
import { followRollout } from '../../src/rollouts/follow.js'
import { rolloutStatus } from '../../src/rollouts/status.js'
import { Secret } from '../../src/secret.js'
import { addServer } from '../../src/servers/add.js'
import { buildTemplate } from '../../src/templates/build-template.js'
import { keepWarm } from '../../src/templates/warm.js'
import { createTenant } from '../../src/tenants/create.js'
import { controlPlane } from '../support/control-plane.js'
import { eventually } from '../support/eventually.js'
import { fleetAudit } from '../support/fleet-audit.js'
import { mysqlBinaries, mysqlControlLogin, startMariadb } from '../support/mariadb-server.js'
import { holdAsOwner, plannedRollout, startedRollout, targetStates } from '../support/rollout-fleet.js'
import { controlLogin, skipWithoutPostgres, startServer } from '../support/servers.js'
import { settle } from '../support/settle.js'
import { tinyTemplate } from '../support/tiny-template.js'
import { durable } from '../support/two-servers.js'

if (!(await skipWithoutPostgres(t))) {
  const withMysql = (await mysqlBinaries()).length > 0
  if (!withMysql) t.comment('NO MARIADB AND NO MYSQL HERE: their lanes were not tested.')
  const tiny = await tinyTemplate(withMysql ? ['postgres', 'mysql'] : ['postgres'])
  t.teardown(() => tiny.remove())
  const plane = await controlPlane({ addServer: false, config: durable, env: { ...tiny.env, SAASCTL_LEASE: '600ms' } })
  t.teardown(() => plane.close())
  const { saasctl } = plane
  const one = await startServer({ config: durable })
  t.teardown(() => one.stop())
  const two = await startServer({ config: durable })
  t.teardown(() => two.stop())
  for (const [name, server] of Object.entries({ one, two })) {
    const { login, password } = await controlLogin(server)
    const { host, port } = server
    await addServer(saasctl, { name, engine: 'postgres', host, port, login, password: new Secret(password) })
  }
  const slugs: string[] = []
  const make = async (server: string, count: number) => {
    for (let n = 0; n < count; n += 1) {
      const slug = `${server}-${n}`
      await createTenant(saasctl, { slug, server, plan: 'small' }, { template: 'tiny' }, { wait: true })
      slugs.push(slug)
    }
  }
  await make('one', 5)
  await make('two', 4)
  const maria = withMysql ? await startMariadb(['--innodb-flush-log-at-trx-commit=1']) : undefined
  if (maria) {
    t.teardown(() => maria.stop())
    const { host, port } = maria
    await addServer(saasctl, { name: 'maria', engine: 'mysql', host, port, ...(await mysqlControlLogin(maria)) })
    await make('maria', 2)
  }
  const audit = async () => {
    await settle(saasctl)
    return fleetAudit(plane, { servers: [one, two], mysql: maria })
  }
  const statuses = async (id: string) =>
    Object.fromEntries(Object.entries(await targetStates(saasctl, id)).map(([slug, { status }]) => [slug, status]))
  const left = (states: Record<string, string>) => Object.keys(states).filter(slug => states[slug] !== 'done')
  const noBrakes = { brakes: { failures: null, percent: null, consecutive: null } }

  await t.test(
    'who holds a lock keeps neither other tenants nor its own readers waiting, and is done later',
    async t => {
      const locked = ['one-2', ...(maria ? ['maria-1'] : [])]
      const holders = await Promise.all(locked.map(slug => holdAsOwner(saasctl, slug)))
      for (const holder of holders) await holder.query('begin')
      for (const holder of holders) await holder.query('select * from notes')
      await tiny.grow({ up: 'alter table notes add column mood int;', down: 'alter table notes drop column mood;' })
      const id = await startedRollout(saasctl, { ...noBrakes, tries: 2 })
      const followed = followRollout(saasctl, id, {})
      await eventually(
        () => statuses(id),
        states => left(states).join() === [...locked].sort().join()
      )
      for (const slug of locked) {
        const reader = await holdAsOwner(saasctl, slug)
        await reader.query('select * from notes')
        await reader.close()
      }
      t.pass('their own readers came through while the lock was still held')
      const { rollout, failures } = await followed
      t.equal(rollout.status, 'failed')
      t.strictSame(
        failures.map(({ slug, error, attempt }) => [slug, error?.code, attempt]),
        [...locked].sort().map(slug => [slug, 'SERVER_BUSY', 2])
      )
      for (const holder of holders) await holder.query('commit')
      for (const holder of holders) await holder.close()
      await retryRollout(saasctl, id)
      t.equal((await followRollout(saasctl, id, {})).rollout.status, 'succeeded')
    }
  )

  await t.test(
    'poisoned tenants are named and left alone, the others are done, and a retry takes only those',
    async t => {
      const holder = await holdAsOwner(saasctl, 'two-3')
      await holder.query('create table poison (id int)')
      await tiny.grow({ up: 'create table poison (id int);', down: 'drop table poison;' })
      const id = await startedRollout(saasctl, { ...noBrakes, canary: 2 })
      const { rollout, failures } = await followRollout(saasctl, id, {})
      t.match(rollout, { status: 'failed', reason: /^1 tenants? failed; the others are done/ })
      t.match(failures, [
        { slug: 'two-3', error: { code: 'MIGRATION_FAILED', message: /already exists/, hint: /Mend/ } }
      ])
      t.strictSame(left(await statuses(id)), ['two-3'])
      await holder.query('drop table poison')
      await holder.close()
      await retryRollout(saasctl, id)
      t.equal((await followRollout(saasctl, id, {})).rollout.status, 'succeeded')
      const attempts = Object.values(await targetStates(saasctl, id)).map(({ attempt }) => attempt)
      t.strictSame([...new Set(attempts)], [1], 'nobody was done twice')
    }
  )

  await t.test('a server that dies in its lane stops no other lane, and its own goes on when it is back', async t => {
    // Takes a moment on either engine.
    const numbers = 'with recursive n (i) as (select 1 union all select i + 1 from n where i < 900)'
    const five = '(select 1 as x union all select 2 union all select 3 union all select 4 union all select 5)'
    const up = `${numbers} select count(*) from n a cross join n b cross join ${five} c;`
    await tiny.grow({ up, down: 'select 1;' })
    const id = await startedRollout(saasctl, { perServer: 1 })
    const followed = followRollout(saasctl, id, {})
    await eventually(
      () => statuses(id),
      states => Object.entries(states).some(([slug, status]) => slug.startsWith('two') && status === 'done')
    )
    two.kill('SIGKILL')
    const waiting = await eventually(
      async () => ({ states: await statuses(id), lines: await rolloutStatus(saasctl, id) }),
      ({ states, lines }) =>
        left(states).every(slug => slug.startsWith('two')) && lines[0]?.lanes[0]?.status === 'waiting'
    )
    t.match(waiting.lines, [{ status: 'running', lanes: [{ server: 'two', error: { code: 'SERVER_UNREACHABLE' } }] }])
    t.ok(left(waiting.states).length > 0, 'some are still to do')
    t.notOk(Object.values(waiting.states).includes('failed'), 'and none has failed for it')
    await two.restart()
    t.equal((await followed).rollout.status, 'succeeded')
    await settle(saasctl)
    t.strictSame(await fleetAudit(plane, { servers: [one, two], mysql: maria, folders: false }), [])
  })

  await t.test(
    'two rollouts run side by side unless they have a tenant in common; then the second is refused',
    async t => {
      await tiny.grow()
      const first = await startedRollout(saasctl, {}, { selector: { slugs: ['one-0', 'one-1', 'two-0'] } })
      await pauseRollout(saasctl, first)
      const both = await plannedRollout(saasctl, {}, { selector: { slugs: ['one-1', 'two-0', 'two-1'] } })
      await t.rejects(startRollout(saasctl, both), {
        code: 'ROLLOUT_BUSY',
        exit: 6,
        message: `Tenant one-1 and 1 more tenants are in rollout ${first}, which is under way.`
      })
      t.equal((await showRollout(saasctl, both)).rollout.status, 'planned', 'and it can be started later')
      const other = await startedRollout(saasctl, {}, { selector: { slugs: ['two-1', 'two-2'] } })
      t.equal((await followRollout(saasctl, other, {})).rollout.status, 'succeeded')
      t.equal((await showRollout(saasctl, first)).rollout.status, 'paused')
      await resumeRollout(saasctl, first)
      t.equal((await followRollout(saasctl, first, {})).rollout.status, 'succeeded')
      await t.rejects(startRollout(saasctl, both), { code: 'ROLLOUT_CHANGED' }, 'it was planned for another fleet')
      const pair = await Promise.allSettled(
        [
          ['one-3', 'one-4'],
          ['one-4', 'two-4']
        ].map(async slugs => startedRollout(saasctl, {}, { selector: { slugs } }))
      )
      t.strictSame(pair.map(({ status }) => status).sort(), ['fulfilled', 'rejected'], 'also when both come at once')
      await settle(saasctl)
      const whole = await startedRollout(saasctl)
      t.equal((await followRollout(saasctl, whole, {})).rollout.status, 'succeeded')
    }
  )

  await t.test('nobody starts at the new head before the whole fleet has it, and nobody is left behind', async t => {
    const old = (await findTenant(saasctl.catalog, 'one-0')).migration
    await buildTemplate(saasctl, 'tiny', { server: 'one', again: false, warm: 1 }, { wait: true })
    const warm = async () =>
      saasctl.catalog.query(
        `select migration from saasctl.database where kind = 'tenant' and state in ('ready', 'building', 'migrating') order by id`
      )
    t.strictSame(await warm(), [{ migration: old }])
    const head = await tiny.grow()
    const id = await startedRollout(saasctl, { canary: 1, soakMs: 600_000 })
    const stop = new AbortController()
    const followed = followRollout(saasctl, id, { signal: stop.signal })
    await eventually(
      () => showRollout(saasctl, id),
      ({ waves }) => waves[0]?.done === 1 && waves[0]?.workedAt !== null
    )
    await keepWarm(saasctl)
    await settleDue()
    t.strictSame(await warm(), [{ migration: old }], 'the warm pool stays where it was')
    for (const server of ['one', 'two']) {
      const slug = `newcomer-${server}`
      const made = await createTenant(saasctl, { slug, server, plan: 'small' }, { template: 'tiny' }, { wait: true })
      t.equal(made.tenant.migration, old, 'and whoever signs up starts there')
    }
    stop.abort()
    await followed
    await saasctl.catalog.query(
      `update saasctl.operation set next_at = now() where kind = 'rollout.turn' and status = 'queued'`
    )
    await resumeRollout(saasctl, id)
    const { rollout, waves } = await followRollout(saasctl, id, {})
    t.equal(rollout.status, 'succeeded')
    t.equal(waves.at(-1)?.done, slugs.length + 1, 'the last wave took the two newcomers')
    for (const slug of ['newcomer-one', 'newcomer-two', ...slugs])
      t.equal((await findTenant(saasctl.catalog, slug)).migration, head, slug)
    await keepWarm(saasctl)
    await settle(saasctl)
    t.strictSame(await warm(), [{ migration: head }], 'now the warm pool has followed')
    const made = await createTenant(saasctl, { slug: 'later', plan: 'small' }, { template: 'tiny' }, { wait: true })
    t.equal(made.tenant.migration, head)
  })

  await t.test(
    'a file that is edited while it runs stops it, with the reason; aborted, it leaves nothing to do',
    async t => {
      await tiny.grow()
      const name = await tiny.grow()
      const id = await startedRollout(saasctl, { canary: 1 })
      const { writeFile } = await import('node:fs/promises')
      await writeFile(`${tiny.migrations}/${name}.sql`, '-- Up Migration\nselect 2;\n\n-- Down Migration\nselect 1;\n')
      const { rollout, waves } = await followRollout(saasctl, id, {})
      t.match(rollout, { status: 'braked', reason: new RegExp(`Migration ${name} .* was edited`) })
      t.equal(waves[0]?.done, 0)
      await abortRollout(saasctl, id)
      t.strictSame(await audit(), [])
    }
  )

  /** Works what is due now; a turn that soaks is not. */
  async function settleDue(): Promise<void> {
    const due = await saasctl.catalog.query<{ id: string }>(
      `select id from saasctl.operation where status in ('queued', 'waiting') and next_at <= now()`
    )
    for (const { id } of due) await saasctl.operations.wake(id)
  }
}
