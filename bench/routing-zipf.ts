import pg from 'pg'
import type { RoutedWay } from '../src/engines/routing.js'
import { createTenants } from '../src/router.js'
import { noteById, someNote } from './support/ask-tenants.js'
import { enlist } from './support/enlisted-fleet.js'
import { alternate, together } from './support/measure.js'
import { figure, ms, note } from './support/report.js'
import { configOf, routedFleet } from './support/routed-fleet.js'
import { zipf } from './support/zipf.js'

// Many tenants, a few of them asked for most of the time, and room for a connection to each: against a Map with a bare pool
// for each, as one would write it by hand, and against one pool of one database whose statements have names. Both keep what
// they have opened for as long as the router does. 1,000 tenants want 5 GB of memory for their databases and 8 for 2,600
// server processes; `node dist/bench/routing-zipf.js 20` takes seconds.
const tenants = Number(process.argv[2] ?? 1_000)
const requests = Math.max(500, 2 * tenants)
const width = 16
/** Of one tenant: with more, a burst now and then opens connections for all rounds to come. */
const each = 4
const room = tenants + 300

const fleet = await routedFleet(tenants, { maxConnections: 2 * room + 300 })
const enlisted = await enlist(fleet, Math.ceil(room / 0.95), each)
const router = await createTenants({ config: enlisted.routerConfig, entities: [] })

const byHand = new Map<string, pg.Pool>()
const poolByHand = (slug: string) => {
  const known = byHand.get(slug)
  if (known) return known
  const way = fleet.ways[enlisted.slugs.indexOf(slug)] as RoutedWay
  const pool = new pg.Pool({ ...configOf(way), max: each, idleTimeoutMillis: 60_000 })
  pool.on('error', () => {})
  byHand.set(slug, pool)
  return pool
}
const single = new pg.Pool({ ...configOf(fleet.ways[0] as RoutedWay), max: width })

const ours = (slug: string) => router.use(slug, async ({ db }) => (await db()).query(noteById, [someNote()]))
const hand = (slug: string) => poolByHand(slug).query(noteById, [someNote()])
const named = (slug: string) => poolByHand(slug).query({ name: 'note', text: noteById, values: [someNote()] })
const one = () => single.query({ name: 'note', text: noteById, values: [someNote()] })

try {
  // Everybody has a connection to every tenant, and the router has prepared the statement on it.
  for (let turn = 0; turn < 6; turn += 1) await together(tenants, 4, index => ours(enlisted.slugs[index] ?? ''))
  await together(tenants, 4, index => hand(enlisted.slugs[index] ?? ''))

  const next = zipf(tenants)
  const all = (act: (slug: string) => Promise<unknown>) => () =>
    together(requests, width, () => act(enlisted.slugs[next()] ?? ''))
  const took = await alternate(
    { ours: all(ours), hand: all(hand), named: all(named), one: all(one) },
    { rounds: 15, warmUp: 3 }
  )
  const what = `${requests} requests of ${tenants} tenants by Zipf, ${width} at a time`
  figure({
    what,
    measured: ms(took.ours.median),
    against: `a Map of bare pools ${ms(took.hand.median)}`,
    ratio: took.hand.median / took.ours.median,
    target: { atLeast: 0.97 }
  })
  figure({
    what: 'the same',
    measured: ms(took.ours.median),
    against: `one pool of one database with a named statement ${ms(took.one.median)}`,
    ratio: took.one.median / took.ours.median,
    target: { atLeast: 0.75 }
  })
  note(
    `the Map with names, which is as much as so many databases allow, ${(took.one.median / took.named.median).toFixed(2)}x of that pool`
  )
} finally {
  await Promise.all([single.end(), ...[...byHand.values()].map(pool => pool.end())])
  await router.close(1_000)
  await enlisted.close()
  await fleet.stop()
}
