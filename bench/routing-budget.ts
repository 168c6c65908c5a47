import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { RoutedWay } from '../src/engines/routing.js'
import { createTenants } from '../src/router.js'
import { type Asked, askTenants, errorsOf } from './support/ask-tenants.js'
import { enlist } from './support/enlisted-fleet.js'
import { Samples } from './support/measure.js'
import { connectingPgbench } from './support/pgbench.js'
import { outputOf } from './support/processes.js'
import { figure, note, perSecond } from './support/report.js'
import { routedFleet } from './support/routed-fleet.js'
import { watchSessions } from './support/sessions.js'
import { zipf } from './support/zipf.js'

// Many tenants over few connections: nearly every request opens one, so the least that it can cost is what `pgbench -C`
// pays, which connects for each transaction and to one database only. Then two routers in processes of their own, the second
// while the first is busy. 2,000 tenants want 10 GB of memory and a minute; `node dist/bench/routing-budget.js 50` neither.
const tenants = Number(process.argv[2] ?? 2_000)
const max = Math.max(4, Math.round(tenants / 25))
const clients = 64
const rounds = tenants < 500 ? 2 : 5
const milliseconds = tenants < 500 ? 1_000 : 4_000
const over = `${tenants} tenants over ${max} connections, ${clients} clients`

const fleet = await routedFleet(tenants)
const enlisted = await enlist(fleet, max)
const sessions = await watchSessions(fleet.server)
try {
  const errors = errorsOf([...(await alone()), ...(await two())])
  const failed = Object.values(errors).reduce((sum, count) => sum + count, 0)
  figure({
    what: 'requests that failed',
    measured: String(failed),
    against: 'none',
    ratio: failed,
    target: { atMost: 0 }
  })
  for (const [what, count] of Object.entries(errors)) note(`${count}× ${what}`)
} finally {
  await sessions.stop()
  await enlisted.close()
  await fleet.stop()
}

async function alone(): Promise<Asked[]> {
  const router = await createTenants({ config: enlisted.routerConfig, entities: [], acquireMs: 10_000 })
  const all: Asked[] = []
  const rates: Record<'uniform' | 'zipf' | 'pgbench', number[]> = { uniform: [], zipf: [], pgbench: [] }
  const ask = async (next: () => number) => {
    const asked = await askTenants(router, { slugs: enlisted.slugs, next, clients, milliseconds })
    all.push(asked)
    await sleep(100)
    return (asked.done / milliseconds) * 1_000
  }
  const [uniform, skewed] = [() => Math.floor(Math.random() * tenants), zipf(tenants)]
  try {
    // Every tenant is known: what an unknown one costs is measured elsewhere.
    for (const slug of enlisted.slugs) await router.find({ by: 'slug', value: slug })
    for (let round = 0; round < rounds; round += 1) {
      rates.pgbench.push(await connectingPgbench(fleet.ways[round % tenants] as RoutedWay, milliseconds))
      rates.uniform.push(await ask(uniform))
      rates.zipf.push(await ask(skewed))
    }
  } finally {
    await router.close(1_000)
  }
  const bare = new Samples(rates.pgbench).median
  const compare = (how: 'uniform' | 'zipf', atLeast: number) => {
    const rate = new Samples(rates[how]).median
    const against = `pgbench -C ${perSecond(bare)}`
    figure({ what: `${over}, ${how}`, measured: perSecond(rate), against, ratio: rate / bare, target: { atLeast } })
  }
  compare('uniform', 0.7)
  compare('zipf', 1.4)
  seen('one router', sessions.most())
  return all
}

async function two(): Promise<Asked[]> {
  const program = fileURLToPath(new URL('support/router-load.js', import.meta.url))
  const load = async (delay: number) => {
    await sleep(delay)
    const args = [program, ...[tenants, clients / 2, 3 * milliseconds].map(String)]
    return JSON.parse(await outputOf({ args, cwd: '/', env: enlisted.routerEnv })) as Asked
  }
  const all = await Promise.all([load(0), load(milliseconds)])
  const rate = all.reduce((sum, { done }) => sum + done / (3 * milliseconds), 0) * 1_000
  note(`two routers ${perSecond(rate)} together`)
  seen('two routers, the second of which joins the first under load', sessions.most())
  return all
}

function seen(who: string, most: number): void {
  figure({
    what: `connections that the server saw of ${who}`,
    measured: `${most} at most`,
    against: `a budget of ${max}`,
    ratio: most / max,
    target: { atMost: 1 }
  })
}
