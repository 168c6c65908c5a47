import { tmpdir } from 'node:os'
import pg from 'pg'
import { DataSource } from 'typeorm'
import type { RoutedWay } from '../src/engines/routing.js'
import { ServerBudget } from '../src/routing/budget.js'
import { Notes } from './support/entities.js'
import { alternate, together } from './support/measure.js'
import { figure, ms, note } from './support/report.js'
import { configOf, routedFleet } from './support/routed-fleet.js'

// One tenant that is busy all the time: every request with a lease and a DataSource of its own, against the pool of a
// program that has this tenant only. Statements that come again and again are prepared, and once more without that.
const requests = 1_000
const width = 8
const rounds = { rounds: 25, warmUp: 4 }

const fleet = await routedFleet(1, tmpdir())
const way = fleet.ways[0] as RoutedWay
const { user: username, ...place } = configOf(way)
const pool = new pg.Pool({ ...configOf(way), max: width })
const stock = new DataSource({
  type: 'postgres',
  ...place,
  username,
  poolSize: width,
  entities: [Notes],
  installExtensions: false
})
await stock.initialize()
const template = await fleet.routing.template({ entities: [Notes] })
const budget = new ServerBudget({ name: 'main', max: 40 })
const poolOf = (preparedStatements: number) =>
  budget.tenant({
    name: 'tenant',
    connections: width,
    open: () => fleet.routing.open({ ...way, preparedStatements })
  })
const [preparing, plain] = [poolOf(50), poolOf(0)]

const text = 'select id, body from notes where id = $1'
const idOf = (index: number) => (index % 1_000) + 1
const withDb = async (from: typeof plain, act: (db: DataSource) => Promise<unknown>) => {
  const lease = from.lease()
  try {
    return await act(fleet.routing.dataSource(template, way.database, lease))
  } finally {
    lease.end()
  }
}
const all = (act: (index: number) => Promise<unknown>) => () => together(requests, width, act)

try {
  const took = await alternate(
    {
      poolQuery: all(index => pool.query(text, [idOf(index)])),
      query: all(index => withDb(preparing, db => db.query(text, [idOf(index)]))),
      plainQuery: all(index => withDb(plain, db => db.query(text, [idOf(index)]))),
      stockFind: all(index => stock.getRepository(Notes).findOneBy({ id: idOf(index) })),
      find: all(index => withDb(preparing, db => db.getRepository(Notes).findOneBy({ id: idOf(index) }))),
      plainFind: all(index => withDb(plain, db => db.getRepository(Notes).findOneBy({ id: idOf(index) })))
    },
    rounds
  )
  const { stockFind, poolQuery, query, plainQuery, find, plainFind } = took
  figure({
    what: `${requests} raw queries of one busy tenant, ${width} at a time`,
    measured: ms(query.median),
    against: `a pg.Pool of its own ${ms(poolQuery.median)}`,
    ratio: poolQuery.median / query.median,
    target: { atLeast: 0.97 }
  })
  figure({
    what: `${requests} findOneBy of one busy tenant, ${width} at a time`,
    measured: ms(find.median),
    against: `a stock DataSource of its own ${ms(stockFind.median)}`,
    ratio: stockFind.median / find.median,
    target: { atLeast: 0.97 }
  })
  note(
    `without prepared statements ${(poolQuery.median / plainQuery.median).toFixed(2)}x and ${(stockFind.median / plainFind.median).toFixed(2)}x`
  )
} finally {
  await pool.end()
  await stock.destroy()
  await budget.shutdown(0)
  await fleet.stop()
}
