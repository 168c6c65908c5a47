import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { DataSource } from 'typeorm'
import { ServerBudget } from '../src/routing/budget.js'
import type { TenantPool } from '../src/routing/tenant-pool.js'
import { someEntities } from './support/entities.js'
import { figure, ms } from './support/report.js'
import { configOf, routedFleet } from './support/routed-fleet.js'

// What one more tenant costs the process: a DataSource of stock TypeORM, as everybody keeps one per tenant in a Map, against
// a pool with a lease and its DataSource. `node dist/bench/routing-metadata.js 500` tries it with fewer.
const stockTenants = 12
const ourTenants = Number(process.argv[2] ?? 10_000)

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void
const heap = () => {
  for (let turn = 0; turn < 3; turn += 1) collect()
  return process.memoryUsage().heapUsed
}

const entities = someEntities(50)
const fleet = await routedFleet(1)
const [way] = fleet.ways
if (!way) throw new Error('The fleet is empty.')
const { user: username, ...place } = configOf(way)
const budget = new ServerBudget({ name: 'main', max: 10 })
try {
  const stock = await costOf(stockTenants, async () => {
    const dataSource = new DataSource({ type: 'postgres', ...place, username, entities, installExtensions: false })
    return { use: await dataSource.initialize(), end: () => dataSource.destroy() }
  })
  const template = await fleet.routing.template({ entities })
  const tenant = async (index: number) => {
    const open = () => fleet.routing.open(way)
    const pool: TenantPool = budget.tenant({ name: `tenant-${index}`, connections: 10, open })
    const lease = pool.lease()
    const dataSource = fleet.routing.dataSource(template, way.database, lease)
    const end = () => {
      lease.end()
      void pool.drain(0)
    }
    return { use: dataSource.manager, end }
  }
  await costOf(ourTenants, tenant)
  const ours = await costOf(ourTenants, tenant)

  const bytes = (value: number) => `${(value / 1_000).toFixed(1)} KB`
  figure({
    what: 'memory for one more tenant, 50 entities',
    measured: bytes(ours.bytes),
    against: `a stock DataSource ${bytes(stock.bytes)}`,
    ratio: ours.bytes / stock.bytes,
    target: { atMost: 0.01 }
  })
  figure({
    what: 'the same',
    measured: bytes(ours.bytes),
    against: '5 KB',
    ratio: ours.bytes / 5_000,
    target: { atMost: 1 }
  })
  figure({
    what: 'time for one more tenant, 50 entities',
    measured: `${(ours.milliseconds * 1_000).toFixed(1)} µs`,
    against: `a stock DataSource ${ms(stock.milliseconds)}`,
    ratio: ours.milliseconds / stock.milliseconds,
    target: { atMost: 0.01 }
  })
  figure({
    what: 'the same',
    measured: `${(ours.milliseconds * 1_000).toFixed(1)} µs`,
    against: '50 µs',
    ratio: ours.milliseconds / 0.05,
    target: { atMost: 1 }
  })

  const before = heap()
  for (let round = 0; round < 5; round += 1) await costOf(ourTenants, tenant)
  const left = heap() - before
  figure({
    what: `${5 * ourTenants} tenants opened and closed leave`,
    measured: bytes(Math.max(0, left)),
    against: 'one megabyte',
    ratio: Math.max(0, left) / 1e6,
    target: { atMost: 1 }
  })
  const held = process.memoryUsage().heapUsed
  figure({
    what: 'the heap after that',
    measured: `${(held / 1e6).toFixed(0)} MB`,
    against: '60 MB',
    ratio: held / 60e6,
    target: { atMost: 1 }
  })
} finally {
  await budget.shutdown(0)
  await fleet.stop()
}

interface Made {
  use: unknown
  end(): unknown
}

/** Time and memory of each, while all are held. */
async function costOf(count: number, make: (index: number) => Promise<Made>) {
  const held: Made[] = []
  const before = heap()
  const from = performance.now()
  for (let index = 0; index < count; index += 1) held.push(await make(index))
  const milliseconds = (performance.now() - from) / count
  const bytes = (heap() - before) / count
  for (const { end } of held) await end()
  return { milliseconds, bytes }
}
