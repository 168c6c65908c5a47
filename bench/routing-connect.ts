import pg from 'pg'
import { DataSource } from 'typeorm'
import { findRoute } from '../src/catalog/routes.js'
import type { RoutedWay } from '../src/engines/routing.js'
import { createTenants } from '../src/router.js'
import { ServerBudget } from '../src/routing/budget.js'
import { noteById } from './support/ask-tenants.js'
import { type EnlistedFleet, enlist } from './support/enlisted-fleet.js'
import { Notes, someEntities } from './support/entities.js'
import { Samples } from './support/measure.js'
import { figure, ms } from './support/report.js'
import { configOf, type RoutedFleet, routedFleet, scram, trust } from './support/routed-fleet.js'

// The first request of a tenant that nobody has asked for: look it up in the catalog, connect, and answer. Ours opens the
// sealed password and reads the identity row as well. Then what of the connection is the client's own work, for SCRAM.
// `node dist/bench/routing-connect.js 20` takes seconds.
const rounds = Number(process.argv[2] ?? 150)
const warmUp = Math.ceil(rounds / 6)

const entities = [...someEntities(50), Notes]

/** Runs until the first answer; what it gives back closes it, outside the time that is measured. */
type Variant = (index: number) => Promise<() => Promise<unknown>>

await firstRequest()
await scramWork()

async function firstRequest(): Promise<void> {
  const tenants = rounds + warmUp
  // Room for all, for making room is not what a first request costs.
  const fleet = await routedFleet(tenants, { maxConnections: 2 * tenants + 50 })
  const enlisted = await enlist(fleet, 2 * tenants)
  const router = await createTenants({ config: enlisted.routerConfig, entities })
  const catalog = new pg.Pool({ connectionString: enlisted.routerEnv['SAASCTL_CATALOG_URL'], max: 4 })
  try {
    const { times } = await measure({
      bare: lookedUp(enlisted, catalog, bare(fleet)),
      routed: async index => {
        await router.use(enlisted.slugs[index] ?? '', async ({ db }) => (await db()).query(noteById, [1]))
        return async () => {}
      },
      stock: lookedUp(enlisted, catalog, stock(fleet))
    })
    figure({
      what: 'first request of a tenant, lookup and identity row included',
      measured: ms(times.routed.median),
      against: `bare lookup, connect and query ${ms(times.bare.median)}`,
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
  } finally {
    await router.close(0)
    await catalog.end()
    await enlisted.close()
    await fleet.stop()
  }
}

async function scramWork(): Promise<void> {
  const [byPassword, byTrust] = [await routedFleet(1, { hba: scram }), await routedFleet(1, { hba: trust })]
  try {
    const { cpu } = await measure({
      bare: bare(byPassword),
      routed: await leased(byPassword),
      bareTrust: bare(byTrust),
      routedTrust: await leased(byTrust)
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
}

/** What a program by hand asks the catalog: where the tenant is. Its password it has at hand. */
function lookedUp({ slugs }: EnlistedFleet, catalog: pg.Pool, then: Variant): Variant {
  return async index => {
    await findRoute(
      { query: async (text, values) => (await catalog.query(text, values)).rows },
      {
        by: 'slug',
        value: slugs[index] ?? ''
      }
    )
    return then(index)
  }
}

function bare(fleet: RoutedFleet): Variant {
  return async index => {
    const client = new pg.Client(configOf(wayOf(fleet, index)))
    await client.connect()
    await client.query(noteById, [1])
    return () => client.end()
  }
}

function stock(fleet: RoutedFleet): Variant {
  return async index => {
    const { user: username, ...place } = configOf(wayOf(fleet, index))
    const dataSource = new DataSource({ type: 'postgres', ...place, username, entities, installExtensions: false })
    await dataSource.initialize()
    await dataSource.query(noteById, [1])
    return () => dataSource.destroy()
  }
}

async function leased(fleet: RoutedFleet): Promise<Variant> {
  const template = await fleet.routing.template({ entities })
  return async index => {
    const way = wayOf(fleet, index)
    const budget = new ServerBudget({ name: 'main', max: 10 })
    const lease = budget.tenant({ name: 'tenant', connections: 10, open: () => fleet.routing.open(way) }).lease()
    await fleet.routing.dataSource(template, way.database, lease).query(noteById, [1])
    lease.end()
    return () => budget.shutdown(0)
  }
}

async function measure<V extends Record<string, Variant>>(variants: V) {
  const times: Record<string, number[]> = {}
  const cpu: Record<string, number> = {}
  const order = Object.entries(variants)
  for (let round = -warmUp; round < rounds; round += 1) {
    for (const [name, run] of round % 2 === 0 ? order : [...order].reverse()) {
      const [from, used] = [performance.now(), process.cpuUsage()]
      const close = await run(round + warmUp)
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

/** A fleet of one serves every round. */
function wayOf({ ways }: RoutedFleet, index: number): RoutedWay {
  return ways[index % ways.length] as RoutedWay
}
