import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { isOver, type OperationRow, operationById } from '../../src/catalog/operations.js'
import { findTenant } from '../../src/catalog/tenants.js'
import { startVerb, startWorkerProcess } from '../support/child.js'
import { fleetAudit } from '../support/fleet-audit.js'
import { newSlug } from '../support/scenes.js'
import { skipWithoutPostgres } from '../support/servers.js'
import { settleOne } from '../support/settle.js'
import { operationOf, sleeper, stopped } from '../support/sleeper.js'
import { untilAllOver } from '../support/take-over.js'
import { twoServers } from '../support/two-servers.js'
import { doVerb, type VerbName } from '../support/verbs.js'

if (await skipWithoutPostgres(t)) process.exit()
const { plane, tenants, close } = await twoServers()
t.teardown(close)
const { saasctl } = plane
const { catalog } = saasctl
await doVerb(saasctl, 'build', {})

const status = async (slug: string) => (await findTenant(catalog, slug))?.status

for (const signal of ['SIGINT', 'SIGQUIT'] as const) {
  t.test(
    `a catalog that gets ${signal} while an operation runs, and while it is taken over, loses nothing`,
    async t => {
      const slug = newSlug()
      const { operation, wakeUp } = await sleeper(t, plane, 'create', { slug }, 'tenant.create/hand over:acted')
      plane.server.kill(signal)
      await plane.server.restart()
      await wakeUp()
      if (!isOver((await afterRestart(operation)).status)) {
        const second = startVerb(plane.env, 'go', { operation }, 'tenant.create/open and look:acted=stop')
        t.teardown(() => second.kill('SIGKILL'))
        await operationOf(second)
        await stopped(second)
        plane.server.kill(signal)
        await plane.server.restart()
        second.kill('SIGCONT')
        await second.ended
        await afterRestart(operation)
      }
      t.match(await settleOne(saasctl, operation), { status: 'succeeded' })
      t.equal(await status(slug), 'active')
      t.strictSame(await fleetAudit(plane, { servers: [tenants] }), [])
    }
  )
}

/** The first questions after a restart may meet connections that died with the server. */
async function afterRestart(id: string): Promise<OperationRow> {
  for (;;) {
    const operation = await operationById(catalog, id).catch(() => undefined)
    if (operation) return operation
    await sleep(20)
  }
}

t.test('a worker outlives its catalog, killed twice while twelve tenants are made, and makes them all', async t => {
  const worker = startWorkerProcess(plane.env)
  t.teardown(() => worker.kill('SIGKILL'))
  await worker.says(({ log }) => /is ready/.test(log?.message ?? ''))
  const slugs = Array.from({ length: 12 }, () => newSlug())
  for (const slug of slugs) await doVerb(saasctl, 'create', { slug, wait: false })
  for (const pause of [50, 400]) {
    await sleep(pause)
    plane.server.kill('SIGKILL')
    await plane.server.restart()
  }
  await untilAllOver(saasctl)
  t.strictSame(new Set(await Promise.all(slugs.map(status))), new Set(['active']))
  worker.kill('SIGTERM')
  t.match(await worker.ended, { code: 0, signal: null }, 'it was there to the end')
  t.strictSame(await fleetAudit(plane, { servers: [tenants] }), [])
})

const midway: Array<[VerbName, string, string]> = [
  ['create', 'tenant.create', 'copy template'],
  ['migrate', 'tenant.migrate', 'migrate'],
  ['purge', 'tenant.purge', 'drop database']
]
for (const [verb, kind, step] of midway) {
  for (const signal of ['SIGKILL', 'SIGQUIT'] as const) {
    t.test(`a tenant server that gets ${signal} in the middle of "${verb}" only has to come back`, async t => {
      const slug = newSlug()
      if (verb !== 'create') await doVerb(saasctl, 'create', { slug })
      const argument = { slug, direction: 'down' }
      const { child, operation, wakeUp } = await sleeper(t, plane, verb, argument, `${kind}/${step}:begun`)
      tenants.kill(signal)
      child.kill('SIGCONT')
      await tenants.restart()
      await wakeUp()
      t.match(child.said.at(-1), { succeeded: true }, 'the process waited for the server and went on')
      t.match(await operationById(catalog, operation), { status: 'succeeded' })
      // A half-made copy's folder is PostgreSQL's own to leave behind; nothing ever uses it.
      t.strictSame(await fleetAudit(plane, { servers: [tenants], folders: false }), [])
    })
  }
}
