import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import type pg from 'pg'
import type { RoutedWay } from '../src/engines/routing.js'
import { ServerBudget } from '../src/routing/budget.js'
import type { TenantPool } from '../src/routing/tenant-pool.js'
import { figure, note, perSecond } from './support/report.js'
import { type RoutedFleet, routedFleet } from './support/routed-fleet.js'
import { zipf } from './support/zipf.js'

// Many tenants over few connections: nearly every request opens one, so the least that it can cost is what `pgbench -C`
// pays, which connects for each transaction and to one database only. 2,000 tenants over 80 connections want 16 GB of
// disk and two minutes; the same 25 tenants a connection by default with fewer. `node dist/bench/routing-budget.js 2000`
const tenants = Number(process.argv[2] ?? 300)
const max = Math.round(tenants / 25)
const clients = 64
const rounds = 5
const roundMs = 4_000

const fleet = await routedFleet(tenants, tmpdir())
const budget = new ServerBudget({ name: 'main', max, acquireMs: 10_000 })
const pools = fleet.ways.map((way, index) =>
  budget.tenant({ name: `tenant-${index}`, connections: 10, open: () => fleet.routing.open(way) })
)
try {
  const errors = new Map<string, number>()
  let most = 0
  const watch = setInterval(async () => {
    most = Math.max(most, await fleet.sessions().catch(() => 0))
  }, 250)
  const pick = { uniform: () => Math.floor(Math.random() * tenants), zipf: zipf(tenants) }
  const rates: Record<'uniform' | 'zipf' | 'pgbench', number[]> = { uniform: [], zipf: [], pgbench: [] }
  for (let round = 0; round < rounds; round += 1) {
    rates.pgbench.push(await pgbench(fleet, fleet.ways[round % tenants] as RoutedWay))
    rates.uniform.push(await requests(pick.uniform))
    rates.zipf.push(await requests(pick.zipf))
  }
  clearInterval(watch)
  const [bare, uniform, skewed] = [median(rates.pgbench), median(rates.uniform), median(rates.zipf)]
  const against = `pgbench -C ${perSecond(bare)}`
  const over = `${tenants} tenants over ${max} connections, ${clients} clients`
  figure({
    what: `${over}, uniform`,
    measured: perSecond(uniform),
    against,
    ratio: uniform / bare,
    target: { atLeast: 0.7 }
  })
  figure({
    what: `${over}, Zipf`,
    measured: perSecond(skewed),
    against,
    ratio: skewed / bare,
    target: { atLeast: 1.4 }
  })
  const failed = [...errors.values()].reduce((sum, count) => sum + count, 0)
  figure({
    what: 'requests that failed',
    measured: String(failed),
    against: 'none',
    ratio: failed,
    target: { atMost: 0 }
  })
  for (const [message, count] of errors) note(`${count}× ${message}`)
  figure({
    what: 'connections that the server saw',
    measured: `${most} at most`,
    against: `a budget of ${max}`,
    ratio: most / max,
    target: { atMost: 1 }
  })

  async function requests(next: () => number): Promise<number> {
    const until = performance.now() + roundMs
    let done = 0
    const client = async () => {
      while (performance.now() < until) {
        await request(pools[next()] as TenantPool).catch(error => {
          const what = error.code ?? error.message
          errors.set(what, (errors.get(what) ?? 0) + 1)
        })
        done += 1
      }
    }
    await Promise.all(Array.from({ length: clients }, client))
    await sleep(100)
    return (done / roundMs) * 1_000
  }
} finally {
  await budget.shutdown(1_000)
  await fleet.stop()
}

async function request(pool: TenantPool): Promise<void> {
  const lease = pool.lease()
  try {
    const connection = await lease.acquire()
    const client = connection.driver as pg.Client
    try {
      await client.query('select id, body from notes where id = $1', [1 + Math.floor(Math.random() * 1_000)])
    } finally {
      lease.release(connection, false)
    }
  } finally {
    lease.end()
  }
}

/** Transactions a second, each on a connection of its own. */
async function pgbench({ server }: RoutedFleet, way: RoutedWay): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), 'saasctl-bench.'))
  const script = join(folder, 'request.sql')
  await writeFile(script, `\\set id random(1, 1000)\nselect id, body from notes where id = :id;\n`)
  const where = ['-h', server.host, '-p', String(server.port), '-U', way.as.login, way.database]
  const how = ['-n', '-C', '-M', 'extended', '-c', '8', '-j', '2', '-T', String(roundMs / 1_000), '-f', script]
  try {
    const { stdout } = await promisify(execFile)('pgbench', [...how, ...where], {
      env: { ...process.env, PGPASSWORD: way.as.password.reveal() }
    })
    return Number(/tps = ([\d.]+)/.exec(stdout)?.[1])
  } finally {
    await rm(folder, { recursive: true })
  }
}

function median(values: number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN
}
