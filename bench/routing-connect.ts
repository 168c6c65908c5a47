import { tmpdir } from 'node:os'
import pg from 'pg'
import { DataSource } from 'typeorm'
import type { RoutedWay } from '../src/engines/routing.js'
import { ServerBudget } from '../src/routing/budget.js'
import { Notes, someEntities } from './support/entities.js'
import { Samples } from './support/measure.js'
import { figure, ms } from './support/report.js'
import { configOf, type RoutedFleet, routedFleet, scram, trust } from './support/routed-fleet.js'

// The first request of a tenant that nobody has asked for: connect, and answer. Ours reads the identity row as well. Each
// database was connected to before, because the first time ever costs the server 11 ms whoever does it.
const rounds = 150
const warmUp = 25

const [byPassword, byTrust] = [await routedFleet(1, tmpdir(), scram), await routedFleet(1, tmpdir(), trust)]
const text = 'select id, body from notes where id = $1'
const entities = [...someEntities(50), Notes]
const template = await byPassword.routing.template({ entities })

/** Runs until the first answer; what it gives back closes it, outside the time that is measured. */
type Variant = () => Promise<() => Promise<unknown>>

const bare =
  (fleet: RoutedFleet): Variant =>
  async () => {
    const client = new pg.Client(configOf(only(fleet)))
    await client.connect()
    await client.query(text, [1])
    return () => client.end()
  }
const routed =
  (fleet: RoutedFleet): Variant =>
  async () => {
    const way = only(fleet)
    const budget = new ServerBudget({ name: 'main', max: 10 })
    const lease = budget.tenant({ name: 'tenant', connections: 10, open: () => fleet.routing.open(way) }).lease()
    await fleet.routing.dataSource(template, way.database, lease).query(text, [1])
    lease.end()
    return () => budget.shutdown(0)
  }
const stock =
  (fleet: RoutedFleet): Variant =>
  async () => {
    const { user: username, ...place } = configOf(only(fleet))
    const dataSource = new DataSource({ type: 'postgres', ...place, username, entities, installExtensions: false })
    await dataSource.initialize()
    await dataSource.query(text, [1])
    return () => dataSource.destroy()
  }

try {
  // In turn with a stock DataSource, whose garbage others would clean up, only what is compared with it.
  const { cpu } = await measure({
    bare: bare(byPassword),
    routed: routed(byPassword),
    bareTrust: bare(byTrust),
    routedTrust: routed(byTrust)
  })
  const { times } = await measure({ bare: bare(byPassword), routed: routed(byPassword), stock: stock(byPassword) })
  figure({
    what: 'first request, identity row included',
    measured: ms(times.routed.median),
    against: `bare connect and query ${ms(times.bare.median)}`,
    ratio: times.routed.median / times.bare.median,
    target: { atMost: 1.15 }
  })
  figure({
    what: 'the same',
    measured: ms(times.routed.median),
    against: `a stock DataSource of 50 entities ${ms(times.stock.median)}`,
    ratio: times.routed.median / times.stock.median,
    target: { atMost: 0.6 }
  })
  figure({
    what: 'our CPU for a connection by SCRAM',
    measured: ms(cpu.routed),
    against: `by trust ${ms(cpu.routedTrust)}`,
    ratio: cpu.routed / cpu.routedTrust,
    target: { atMost: 1.5 }
  })
  figure({
    what: 'the driver’s own, for comparison',
    measured: ms(cpu.bare),
    against: `by trust ${ms(cpu.bareTrust)}`,
    ratio: cpu.bare / cpu.bareTrust
  })
} finally {
  await byPassword.stop()
  await byTrust.stop()
}

async function measure<V extends Record<string, Variant>>(variants: V) {
  const times: Record<string, number[]> = {}
  const cpu: Record<string, number> = {}
  const order = Object.entries(variants)
  for (let round = -warmUp; round < rounds; round += 1) {
    for (const [name, run] of round % 2 === 0 ? order : [...order].reverse()) {
      const [from, used] = [performance.now(), process.cpuUsage()]
      const close = await run()
      const took = performance.now() - from
      const { user, system } = process.cpuUsage(used)
      await close()
      if (round < 0) continue
      times[name] = [...(times[name] ?? []), took]
      cpu[name] = (cpu[name] ?? 0) + (user + system) / 1_000 / rounds
    }
  }
  return {
    times: Object.fromEntries(order.map(([name]) => [name, new Samples(times[name] ?? [])])) as Record<
      keyof V,
      Samples
    >,
    cpu: cpu as Record<keyof V, number>
  }
}

function only({ ways: [way] }: RoutedFleet): RoutedWay {
  if (!way) throw new Error('The fleet is empty.')
  return way
}
