import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { operationById, stepsOf } from '../../src/catalog/operations.js'
import { findTenant } from '../../src/catalog/tenants.js'
import { type Child, startVerb, startWorkerProcess } from '../support/child.js'
import { fleetAudit } from '../support/fleet-audit.js'
import { killPoints } from '../support/kill-points.js'
import { newSlug } from '../support/scenes.js'
import { asSuperuser, skipWithoutPostgres } from '../support/servers.js'
import { settle, settleOne } from '../support/settle.js'
import { operationOf, sleeper } from '../support/sleeper.js'
import { untilAllOver, untilOver } from '../support/take-over.js'
import { twoServers } from '../support/two-servers.js'
import { doVerb } from '../support/verbs.js'

if (await skipWithoutPostgres(t)) process.exit()
const { plane, tenants, template, close } = await twoServers()
t.teardown(close)
const { saasctl } = plane
const { catalog } = saasctl
await doVerb(saasctl, 'build', {})

const audit = () => fleetAudit(plane, { servers: [tenants] })
const status = async (slug: string) => (await findTenant(catalog, slug))?.status

t.test('a worker that lives takes over what a killed process was at, and nobody has to do anything', async t => {
  const slug = newSlug()
  const child = startVerb(plane.env, 'create', { slug }, 'tenant.create/copy template:acted')
  const operation = await operationOf(child)
  await child.ended
  const worker = startWorkerProcess(plane.env)
  t.teardown(() => worker.kill('SIGKILL'))
  t.match(await untilOver(saasctl, operation), { status: 'succeeded', epoch: 2 })
  t.equal(await status(slug), 'active')
  worker.kill('SIGTERM')
  t.match(await worker.ended, { code: 0 }, 'and the worker ends in peace when it is asked to')
  t.strictSame(await audit(), [])
})

t.test('an operation whose every owner is killed one moment further still comes to its end', async t => {
  const slug = newSlug()
  const [first, ...others] = await killPoints('tenant.create')
  const child = startVerb(plane.env, 'create', { slug }, first?.failpoint)
  const operation = await operationOf(child)
  await child.ended
  for (const { failpoint } of others.filter(({ ends }) => ends === 'succeeded')) {
    const next = startVerb(plane.env, 'go', { operation }, failpoint)
    t.match(await next.ended, { signal: 'SIGKILL' }, failpoint)
  }
  t.match(await operationById(catalog, operation), { status: 'succeeded', epoch: 13 })
  t.strictSame(await audit(), [])
})

for (const moment of ['begun', 'acted'] as const) {
  t.test(
    `a process stopped when a step was ${moment}, and woken after its lease ran out, does nothing more`,
    async t => {
      const slug = newSlug()
      const { child, operation, wakeUp } = await sleeper(
        t,
        plane,
        'create',
        { slug },
        `tenant.create/copy template:${moment}`
      )
      t.match(await settleOne(saasctl, operation), { status: 'succeeded', epoch: 2 })
      t.strictSame(await audit(), [], 'its session on the server is dead before it wakes')
      const before = [await operationById(catalog, operation), await stepsOf(catalog, operation)]
      await wakeUp()
      t.match(child.said.at(-1), { succeeded: true }, 'it learns how its operation ended')
      t.strictSame([await operationById(catalog, operation), await stepsOf(catalog, operation)], before)
      t.strictSame(await audit(), [])
    }
  )
}

t.test('a process stopped before it closes a tenant cannot close it after the tenant was let in again', async t => {
  const slug = newSlug()
  await doVerb(saasctl, 'create', { slug })
  const { operation, wakeUp } = await sleeper(t, plane, 'suspend', { slug }, 'tenant.suspend/close logins:begun')
  await settleOne(saasctl, operation)
  await doVerb(saasctl, 'resume', { slug })
  await wakeUp()
  t.equal(await status(slug), 'active')
  t.strictSame(await audit(), [], 'its logins are open')
})

t.test('a process stopped before it undoes a migration cannot undo it after it was applied again', async t => {
  const slug = newSlug()
  await doVerb(saasctl, 'create', { slug })
  const { operation, wakeUp } = await sleeper(
    t,
    plane,
    'migrate',
    { slug, direction: 'down' },
    'tenant.migrate/migrate:begun'
  )
  await settleOne(saasctl, operation)
  const down = (await findTenant(catalog, slug))?.migration
  await doVerb(saasctl, 'migrate', { slug, direction: 'up' })
  await wakeUp()
  t.not((await findTenant(catalog, slug))?.migration, down)
  t.strictSame(await audit(), [], 'the database stands where the catalog says')
})

/** Waits until a migration sleeps on the server. */
async function sleeping(): Promise<void> {
  const asleep = `select from pg_stat_activity where wait_event = 'PgSleep'`
  while ((await asSuperuser(tenants, client => client.query(asleep))).rowCount === 0) await sleep(10)
}

t.test('a migration whose process was stopped in the middle of it is applied once', async t => {
  const slug = newSlug()
  await doVerb(saasctl, 'create', { slug })
  await template.grow({ up: 'create table slow (id int); select pg_sleep(1);', down: 'drop table slow;' })
  const child = startVerb(plane.env, 'migrate', { slug })
  t.teardown(() => child.kill('SIGKILL'))
  const operation = await operationOf(child)
  await sleeping()
  child.kill('SIGSTOP')
  t.match(await settleOne(saasctl, operation), { status: 'succeeded', epoch: 2 })
  child.kill('SIGCONT')
  await child.ended
  t.match(child.said.at(-1), { succeeded: true })
  t.strictSame(await audit(), [])
})

t.test('a process that wakes while its successor is at work disturbs nothing', async t => {
  const slug = newSlug()
  await doVerb(saasctl, 'create', { slug })
  await template.grow({ up: 'create table slower (id int); select pg_sleep(1.5);', down: 'drop table slower;' })
  const { operation, wakeUp } = await sleeper(t, plane, 'migrate', { slug }, 'tenant.migrate/migrate:begun')
  const successor = settleOne(saasctl, operation)
  await sleeping()
  await wakeUp()
  t.match(await successor, { status: 'succeeded', epoch: 2 }, 'it was finished by its successor, in one go')
  t.strictSame(await audit(), [])
})

t.test('a suspension while a resumption is at work wins, whichever is stopped and woken late', async t => {
  const slug = newSlug()
  await doVerb(saasctl, 'create', { slug })
  await doVerb(saasctl, 'suspend', { slug })
  const { wakeUp } = await sleeper(t, plane, 'resume', { slug }, 'tenant.resume/open logins:acted')
  const suspended = doVerb(saasctl, 'suspend', { slug })
  await wakeUp()
  await suspended
  await settle(saasctl)
  t.equal(await status(slug), 'suspended')
  t.strictSame(await audit(), [], 'its logins are closed')
})

t.test(
  'a creation that was killed with its copy made keeps to the template it copied, although that is built again',
  async t => {
    const slug = newSlug()
    const child = startVerb(plane.env, 'create', { slug }, 'tenant.create/copy template:acted')
    const operation = await operationOf(child)
    await child.ended
    await doVerb(saasctl, 'build', { again: true })
    t.match(await settleOne(saasctl, operation), { status: 'succeeded' })
    await settle(saasctl)
    t.strictSame(await audit(), [], 'nothing in it belongs to the template')
  }
)

t.test('two workers share twenty creations; one is killed, and all are made, each once', async t => {
  const env = { ...plane.env, SAASCTL_CONCURRENCY: '2' }
  const workers = [startWorkerProcess(env), startWorkerProcess(env)] as const
  for (const worker of workers) t.teardown(() => worker.kill('SIGKILL'))
  await Promise.all(workers.map(worker => worker.says(({ log }) => /is ready/.test(log?.message ?? ''))))
  const slugs = Array.from({ length: 20 }, () => newSlug())
  for (const slug of slugs) await doVerb(saasctl, 'create', { slug, wait: false })
  const worked = (worker: Child) => worker.said.filter(({ log }) => log?.message === 'worked').length
  // How they share is the queue's affair; the one that is killed has begun something.
  while (worked(workers[0]) < 1 && worked(workers[1]) < 10) await sleep(5)
  workers[0].kill('SIGKILL')
  await untilAllOver(saasctl)
  const states = await Promise.all(slugs.map(status))
  t.strictSame(new Set(states), new Set(['active']))
  t.comment(`${worked(workers[0])} by the killed one, ${worked(workers[1])} by the other`)
  await catalog.query(`update saasctl.worker set seen_at = now() - interval '2 min' where pid = $1`, [workers[0].pid])
  while ((await locks()).length > 0 || (await liveWorkers()).length > 1) await sleep(10)
  workers[1].kill('SIGTERM')
  t.match(await workers[1].ended, { code: 0 })
  t.strictSame(await liveWorkers(), [], 'and then it is forgotten')
  t.strictSame(await audit(), [])
})

function liveWorkers() {
  return catalog.query('select from saasctl.worker')
}

function locks() {
  return catalog.query('select id from graphile_worker.jobs where locked_at is not null')
}
