import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { isOver, listOperations, type OperationRow, operationById, stepsOf } from '../../src/catalog/operations.js'
import { findTenant } from '../../src/catalog/tenants.js'
import { type Child, startVerb, startWorkerProcess } from '../support/child.js'
import { fleetAudit } from '../support/fleet-audit.js'
import { killPoints } from '../support/kill-points.js'
import { newSlug } from '../support/scenes.js'
import { asSuperuser, skipWithoutPostgres } from '../support/servers.js'
import { settle, settleOne } from '../support/settle.js'
import { untilOver } from '../support/take-over.js'
import { twoServers } from '../support/two-servers.js'
import { doVerb, type VerbName } from '../support/verbs.js'

if (await skipWithoutPostgres(t)) process.exit()
const { plane, tenants, template, close } = await twoServers()
t.teardown(close)
const { saasctl } = plane
const { catalog } = saasctl
await doVerb(saasctl, 'build', {})

/** After a server itself was killed PostgreSQL keeps folders that no database has. */
let folders = true
const audit = () => fleetAudit(plane, { servers: [tenants], folders })
const begun = (child: Child) => child.says(({ progress }) => progress?.moment === 'begun').then(line => line.progress)
const status = async (slug: string) => (await findTenant(catalog, slug))?.status

/** Waits until the process has stopped itself: SIGSTOP sends no word. */
async function stopped(child: Child): Promise<void> {
  const { readFile } = await import('node:fs/promises')
  const state = async () => / T /.test((await readFile(`/proc/${child.pid}/stat`, 'utf8')).replace(/\(.*\)/, ''))
  while (!(await state())) await sleep(10)
}

/** A process that stops itself at the failpoint: its operation, and how to let it go on. */
async function sleeper(t: Test, verb: VerbName, slug: string, failpoint: string, more = {}) {
  const child = startVerb(plane.env, verb, { slug, ...more }, `${failpoint}=stop`)
  t.teardown(() => child.kill('SIGKILL'))
  const progress = await begun(child)
  await stopped(child)
  return { child, operation: progress?.operation ?? '' }
}

async function wakeUp(child: Child): Promise<void> {
  child.kill('SIGCONT')
  await child.ended
}

t.test('a worker that lives takes over what a killed process was at, and nobody has to do anything', async t => {
  const slug = newSlug()
  const child = startVerb(plane.env, 'create', { slug }, 'tenant.create/copy template:acted')
  const operation = (await begun(child))?.operation ?? ''
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
  const operation = (await begun(child))?.operation ?? ''
  await child.ended
  for (const { failpoint } of others.filter(({ ends }) => ends === 'succeeded')) {
    const next = startVerb(plane.env, 'go', { operation }, failpoint)
    t.match(await next.ended, { signal: 'SIGKILL' }, failpoint)
  }
  t.match(await operationById(catalog, operation), { status: 'succeeded', epoch: 13 })
  t.strictSame(await audit(), [])
})

for (const moment of ['begun', 'acted'] as const) {
  t.test(`a process stopped when a step was ${moment}, and woken after its lease ran out, does nothing more`, async t => {
    const slug = newSlug()
    const { child, operation } = await sleeper(t, 'create', slug, `tenant.create/copy template:${moment}`)
    t.match(await settleOne(saasctl, operation), { status: 'succeeded', epoch: 2 })
    t.strictSame(await audit(), [], 'its session on the server is dead before it wakes')
    const before = [await operationById(catalog, operation), await stepsOf(catalog, operation)]
    await wakeUp(child)
    t.match(child.said.at(-1), { succeeded: true }, 'it learns how its operation ended')
    t.strictSame([await operationById(catalog, operation), await stepsOf(catalog, operation)], before)
    t.strictSame(await audit(), [])
  })
}

t.test('a process stopped before it closes a tenant cannot close it after the tenant was let in again', async t => {
  const slug = newSlug()
  await doVerb(saasctl, 'create', { slug })
  const { child, operation } = await sleeper(t, 'suspend', slug, 'tenant.suspend/close logins:begun')
  await settleOne(saasctl, operation)
  await doVerb(saasctl, 'resume', { slug })
  await wakeUp(child)
  t.equal(await status(slug), 'active')
  t.strictSame(await audit(), [], 'its logins are open')
})

t.test('a process stopped before it undoes a migration cannot undo it after it was applied again', async t => {
  const slug = newSlug()
  await doVerb(saasctl, 'create', { slug })
  const more = { direction: 'down' }
  const { child, operation } = await sleeper(t, 'migrate', slug, 'tenant.migrate/migrate:begun', more)
  await settleOne(saasctl, operation)
  const down = (await findTenant(catalog, slug))?.migration
  await doVerb(saasctl, 'migrate', { slug, direction: 'up' })
  await wakeUp(child)
  t.not((await findTenant(catalog, slug))?.migration, down)
  t.strictSame(await audit(), [], 'the database stands where the catalog says')
})

t.test('a migration whose process was stopped in the middle of it is applied once', async t => {
  const slug = newSlug()
  await doVerb(saasctl, 'create', { slug })
  await template.grow({ up: 'create table slow (id int); select pg_sleep(1);', down: 'drop table slow;' })
  const child = startVerb(plane.env, 'migrate', { slug })
  t.teardown(() => child.kill('SIGKILL'))
  const operation = (await begun(child))?.operation ?? ''
  const running = () =>
    asSuperuser(tenants, async client => {
      const { rowCount } = await client.query(`select from pg_stat_activity where wait_event = 'PgSleep'`)
      return rowCount
    })
  while (!(await running())) await sleep(10)
  child.kill('SIGSTOP')
  t.match(await settleOne(saasctl, operation), { status: 'succeeded', epoch: 2 })
  await wakeUp(child)
  t.match(child.said.at(-1), { succeeded: true })
  t.strictSame(await audit(), [])
})

t.test('a suspension while a resumption is at work wins, whichever is stopped and woken late', async t => {
  const slug = newSlug()
  await doVerb(saasctl, 'create', { slug })
  await doVerb(saasctl, 'suspend', { slug })
  const { child } = await sleeper(t, 'resume', slug, 'tenant.resume/open logins:acted')
  const suspended = doVerb(saasctl, 'suspend', { slug })
  await wakeUp(child)
  await suspended
  await settle(saasctl)
  t.equal(await status(slug), 'suspended')
  t.strictSame(await audit(), [], 'its logins are closed')
})

t.test('two workers share twenty creations; one is killed, and all are made, each once', async t => {
  const env = { ...plane.env, SAASCTL_CONCURRENCY: '2' }
  const workers = [startWorkerProcess(env), startWorkerProcess(env)] as const
  t.teardown(() => workers.forEach(worker => worker.kill('SIGKILL')))
  await Promise.all(workers.map(worker => worker.says(({ log }) => /is ready/.test(log?.message ?? ''))))
  const slugs = Array.from({ length: 20 }, () => newSlug())
  for (const slug of slugs) await doVerb(saasctl, 'create', { slug, wait: false })
  const worked = (worker: Child) => worker.said.filter(({ log }) => log?.message === 'worked').length
  while (workers.some(worker => worked(worker) < 2)) await sleep(10)
  workers[0].kill('SIGKILL')
  await allOver()
  const states = await Promise.all(slugs.map(status))
  t.strictSame(new Set(states), new Set(['active']))
  const operations = await listOperations(catalog, { limit: 1000 })
  const taken = operations.filter(({ kind, epoch }) => kind === 'tenant.create' && epoch > 1)
  t.comment(`${worked(workers[0])} by the killed one, ${worked(workers[1])} by the other, ${taken.length} taken over in all`)
  workers[1].kill('SIGTERM')
  await workers[1].ended
  t.strictSame(await audit(), [])
})

async function allOver(): Promise<void> {
  for (const until = performance.now() + 60_000; ; await sleep(50)) {
    const open = await listOperations(catalog, { open: true, limit: 100 }).catch(() => undefined)
    if (open?.length === 0) return
    if (performance.now() > until) throw new Error(`Still open: ${JSON.stringify(open)}`)
  }
}

for (const signal of ['SIGINT', 'SIGQUIT'] as const) {
  t.test(`a catalog that is ended with ${signal} while an operation runs, and while it is taken over, loses nothing`, async t => {
    const slug = newSlug()
    const { child, operation } = await sleeper(t, 'create', slug, 'tenant.create/hand over:acted')
    plane.server.kill(signal)
    await plane.server.restart()
    child.kill('SIGCONT')
    await child.ended
    const second = startVerb(plane.env, 'go', { operation }, 'tenant.create/open and look:acted=stop')
    t.teardown(() => second.kill('SIGKILL'))
    if (!isOver((await untilKnown(operation)).status)) {
      await begun(second)
      await stopped(second)
      plane.server.kill(signal)
      await plane.server.restart()
      await wakeUp(second)
    }
    t.match(await settleOne(saasctl, operation), { status: 'succeeded' })
    t.equal(await status(slug), 'active')
    t.strictSame(await audit(), [])
  })
}

/** The first question after a restart may meet a connection that died with the server. */
async function untilKnown(id: string): Promise<OperationRow> {
  for (;;) {
    const operation = await operationById(catalog, id).catch(() => undefined)
    if (operation) return operation
    await sleep(20)
  }
}

t.test('a worker outlives its catalog: killed twice while twelve tenants are made, all are made', async t => {
  const worker = startWorkerProcess(plane.env)
  t.teardown(() => worker.kill('SIGKILL'))
  await worker.says(({ log }) => /is ready/.test(log?.message ?? ''))
  const slugs = Array.from({ length: 12 }, () => newSlug())
  for (const slug of slugs) await doVerb(saasctl, 'create', { slug, wait: false })
  for (const pause of [150, 400]) {
    await sleep(pause)
    plane.server.kill('SIGKILL')
    await plane.server.restart()
  }
  await allOver()
  t.strictSame(new Set(await Promise.all(slugs.map(status))), new Set(['active']))
  worker.kill('SIGTERM')
  t.match(await worker.ended, { code: 0, signal: null }, 'by the one worker, which was there to the end')
  t.strictSame(await audit(), [])
})

const midway: Array<[VerbName, string, object]> = [
  ['create', 'tenant.create/copy template', {}],
  ['migrate', 'tenant.migrate/migrate', { direction: 'down' }],
  ['purge', 'tenant.purge/drop database', {}]
]
for (const [verb, step, more] of midway) {
  for (const signal of ['SIGKILL', 'SIGQUIT'] as const) {
    t.test(`a tenant server ended with ${signal} in the middle of "${verb}" is all that it takes to finish it`, async t => {
      folders = false
      const slug = newSlug()
      if (verb !== 'create') await doVerb(saasctl, 'create', { slug })
      const { child, operation } = await sleeper(t, verb, slug, `${step}:begun`, more)
      tenants.kill(signal)
      child.kill('SIGCONT')
      await tenants.restart()
      await child.ended
      t.match(child.said.at(-1), { succeeded: true }, 'the process waited for the server and went on')
      t.match(await operationById(catalog, operation), { status: 'succeeded' })
      t.strictSame(await audit(), [])
    })
  }
}
