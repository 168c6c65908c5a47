import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { showRollout } from '../../src/rollouts/control.js'
import { followRollout } from '../../src/rollouts/follow.js'
import { startVerb, startWorkerProcess } from '../support/child.js'
import { eventually } from '../support/eventually.js'
import { fleetAudit } from '../support/fleet-audit.js'
import { randomFrom } from '../support/random-kill.js'
import { startedRollout, targetStates } from '../support/rollout-fleet.js'
import { fillFleet, rolloutWithKills } from '../support/rollout-kills.js'
import { asSuperuser, skipWithoutPostgres } from '../support/servers.js'
import { settle } from '../support/settle.js'
import { operationOf } from '../support/sleeper.js'
import { twoServers } from '../support/two-servers.js'

if (await skipWithoutPostgres(t)) process.exit()
const stage = await twoServers()
t.teardown(() => stage.close())
const { plane, tenants, template } = stage
const { saasctl } = plane
await fillFleet(stage, 8)
const audit = () => fleetAudit(plane, { servers: [tenants] })
const slow = { up: 'select pg_sleep(0.3);', down: 'select 1;' }

const seed = Date.now() % 2 ** 31

t.test('several workers share a rollout, and whichever is killed whenever, each tenant is migrated once', async t => {
  t.comment(`Again with: npm run soak -- --only rollouts --kills 1 --seed ${seed}`)
  const random = randomFrom(seed)
  let kills = 0
  for (let round = 0; round < 2; round += 1) {
    const { kills: more, findings } = await rolloutWithKills(stage, random, { workers: 3, longestMs: 700 })
    t.strictSame(findings, [])
    kills += more
  }
  t.ok(kills > 0, `${kills} were killed`)
})

t.test('a lane that was stopped past its lease and woken up writes nothing over what its successor did', async t => {
  await template.grow({ up: 'create table slept (id int); select pg_sleep(0.5);', down: 'drop table slept;' })
  const child = startVerb(plane.env, 'rollout', {})
  t.teardown(() => child.kill('SIGKILL'))
  await operationOf(child)
  const asleep = `select from pg_stat_activity where wait_event = 'PgSleep'`
  await eventually(
    () => asSuperuser(tenants, client => client.query(asleep)),
    ({ rowCount }) => (rowCount ?? 0) > 0
  )
  child.kill('SIGSTOP')
  await settle(saasctl)
  const [latest] = await saasctl.catalog.query<{ id: string }>(
    'select id from saasctl.rollout order by id desc limit 1'
  )
  const id = latest?.id ?? ''
  const before = [await showRollout(saasctl, id), await targetStates(saasctl, id)]
  t.match(before, [{ rollout: { status: 'succeeded' }, waves: [{ done: 8 }] }])
  child.kill('SIGCONT')
  await child.ended
  t.match(child.said.at(-1), { succeeded: true }, 'it sees that it is over')
  t.strictSame([await showRollout(saasctl, id), await targetStates(saasctl, id)], before)
  t.strictSame(await audit(), [])
})

t.test('a catalog that is killed in the middle takes no worker and no follower with it', async t => {
  const worker = startWorkerProcess(plane.env)
  t.teardown(() => worker.kill('SIGKILL'))
  await worker.says(({ log }) => /is ready/.test(log?.message ?? ''))
  await template.grow(slow)
  const id = await startedRollout(saasctl, { perServer: 2 })
  const troubles: string[] = []
  const followed = followRollout(saasctl, id, { onTrouble: ({ code }) => troubles.push(code) })
  await eventually(
    () => showRollout(saasctl, id),
    ({ waves }) => (waves[0]?.done ?? 0) > 0
  )
  plane.server.kill('SIGKILL')
  await sleep(300)
  await plane.server.restart()
  t.match(await followed, { rollout: { status: 'succeeded' }, waves: [{ done: 8, failed: 0 }] })
  t.strictSame([...new Set(troubles)], ['CATALOG_UNREACHABLE'])
  worker.kill('SIGTERM')
  t.match(await worker.ended, { code: 0 }, 'the worker was there to the end')
  await settle(saasctl)
  t.strictSame(await audit(), [])
})
