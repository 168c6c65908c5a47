import { tmpdir } from 'node:os'
import pg from 'pg'
import type { RoutedWay } from '../src/engines/routing.js'
import { ServerBudget } from '../src/routing/budget.js'
import type { TenantPool } from '../src/routing/tenant-pool.js'
import { Notes } from './support/entities.js'
import { alternate, together } from './support/measure.js'
import { figure, ms } from './support/report.js'
import { configOf, routedFleet } from './support/routed-fleet.js'
import { zipf } from './support/zipf.js'

// Many tenants, a few of them asked for most of the time, and connections for those that matter: against a Map with a bare
// pool for each, as one would write it by hand, and against one pool of one database whose statements have names.
// `node dist/bench/routing-zipf.js 50` tries it with fewer.
const tenants = Number(process.argv[2] ?? 1_000)
const connections = 200
const requests = 2_000
const width = 32

const fleet = await routedFleet(tenants, tmpdir())
const next = zipf(tenants)
const text = 'select id, body from notes where id = $1'
const idOf = (index: number) => (index % 1_000) + 1
const wayOf = (index: number) => fleet.ways[index] as RoutedWay

// A hand-written Map has no budget: what it may open must be bounded by the number of its pools, which each keep one.
const byHand = new Map<number, pg.Pool>()
const poolByHand = (index: number) => {
  const known = byHand.get(index)
  if (known) {
    byHand.delete(index)
    byHand.set(index, known)
    return known
  }
  const pool = new pg.Pool({ ...configOf(wayOf(index)), max: 2 })
  pool.on('error', () => {})
  byHand.set(index, pool)
  if (byHand.size > connections / 2) {
    const [[oldest, last] = []] = byHand
    if (oldest !== undefined) byHand.delete(oldest)
    void last?.end()
  }
  return pool
}

const single = new pg.Pool({ ...configOf(wayOf(0)), max: width })
const template = await fleet.routing.template({ entities: [Notes] })
const budget = new ServerBudget({ name: 'main', max: connections })
const pools = fleet.ways.map((way, index) =>
  budget.tenant({ name: `tenant-${index}`, connections: 10, open: () => fleet.routing.open(way) })
)

try {
  const all = (act: (index: number) => Promise<unknown>) => () => together(requests, width, act)
  const { ours, hand, one } = await alternate(
    {
      ours: all(async index => {
        const tenant = next()
        const lease = (pools[tenant] as TenantPool).lease()
        try {
          return await fleet.routing.dataSource(template, wayOf(tenant).database, lease).query(text, [idOf(index)])
        } finally {
          lease.end()
        }
      }),
      hand: all(index => poolByHand(next()).query(text, [idOf(index)])),
      one: all(index => single.query({ name: 'note', text, values: [idOf(index)] }))
    },
    { rounds: 10, warmUp: 3 }
  )
  const what = `${requests} requests of ${tenants} tenants by Zipf, ${width} at a time`
  figure({
    what,
    measured: ms(ours.median),
    against: `a Map of bare pools, least recently used ones closed ${ms(hand.median)}`,
    ratio: hand.median / ours.median,
    target: { atLeast: 0.97 }
  })
  figure({
    what: 'the same',
    measured: ms(ours.median),
    against: `one pool of one database with named statements ${ms(one.median)}`,
    ratio: one.median / ours.median,
    target: { atLeast: 0.75 }
  })
} finally {
  await Promise.all([single.end(), ...[...byHand.values()].map(pool => pool.end())])
  await budget.shutdown(1_000)
  await fleet.stop()
}
