import { type ConnectionOptions, createConnection, createPool } from 'mysql2/promise'
import { DataSource } from 'typeorm'
import { optionsOf } from '../src/engines/mysql/routing/options.js'
import type { RoutedConnection } from '../src/engines/routing.js'
import { ServerBudget } from '../src/routing/budget.js'
import type { TenantPool } from '../src/routing/tenant-pool.js'
import { type MysqlTenant, mysqlServer, waysOf } from '../test/support/routed-mysql.js'
import { Notes, someEntities } from './support/entities.js'
import { alternate, type Samples, together } from './support/measure.js'
import { figure, ms, note, perSecond } from './support/report.js'

// The router on MariaDB: what a connection costs when it is opened and when it is handed on, one tenant that is busy all the
// time against a program that has this tenant only, and many tenants on few connections.
const tenants = 300
const connections = 16
const clients = 64
const requests = 3_000

const up = [
  'create table notes (id int primary key, body varchar(100))',
  "insert into notes select seq, concat('note ', seq) from seq_1_to_1000"
]
const server = await mysqlServer(tenants, up)
const { routing } = server
const [first, second] = server.tenants as [MysqlTenant, MysqlTenant]
const text = 'select id, body from notes where id = ?'
const template = await routing.template({ entities: [...someEntities(50), Notes] })
const { host, port } = first.way().address
const place = { host, port, username: first.as.login, password: first.as.password.reveal(), database: first.database }

const using = async (pool: TenantPool, { database }: MysqlTenant, act: (db: DataSource) => Promise<unknown>) => {
  const lease = pool.lease()
  try {
    return await act(routing.dataSource(template, database, lease))
  } finally {
    lease.end()
  }
}
/** Every tenant as often as any other, in an order that gives nobody the same connection twice. */
const uniform = async (pools: TenantPool[]) => {
  let next = 0
  await together(requests, clients, async () => {
    const index = (next++ * 37) % tenants
    await using(pools[index] as TenantPool, server.tenants[index] as MysqlTenant, db => db.query(text, [1]))
  })
}

try {
  await cold()
  await handedOn()
  await hot()
  await many()
} finally {
  await server.stop()
}

async function cold() {
  const closing: Array<() => Promise<unknown>> = []
  const options = optionsOf(first.way())
  const bare = async () => {
    const client = await createConnection(options)
    closing.push(() => client.end())
    await client.query(text, [1])
  }
  const budget = new ServerBudget({ name: 'main', max: 10 })
  const routed = async () => {
    const pool = budget.tenant({ name: 'first', connections: 10, ...waysOf(routing, first) })
    closing.push(() => pool.drain(0))
    await using(pool, first, db => db.query(text, [1]))
  }
  const stock = async () => {
    const dataSource = new DataSource({ type: 'mysql', ...place, entities: [...someEntities(50), Notes] })
    closing.push(() => dataSource.destroy())
    await dataSource.initialize()
    await dataSource.query(text, [1])
  }
  const ended = () => Promise.all(closing.splice(0).map(close => close()))
  const rounds = { rounds: 300, warmUp: 50 }
  // In turn with a stock DataSource, whose garbage others would clean up, only what is compared with it.
  const cold = await alternate({ bare, after: ended, routed, ended }, rounds)
  const took = await alternate({ routed, after: ended, stock, ended }, rounds)
  await budget.shutdown(0)
  figure({
    what: 'first request, identity row included',
    measured: ms(cold.routed.median),
    against: `bare connect and query ${ms(cold.bare.median)}`,
    ratio: cold.routed.median / cold.bare.median,
    target: { atMost: 1.15 }
  })
  figure({
    what: 'the same',
    measured: ms(took.routed.median),
    against: `a stock DataSource of 50 entities ${ms(took.stock.median)}`,
    ratio: took.routed.median / took.stock.median,
    target: { atMost: 0.6 }
  })
}

async function handedOn() {
  let turn = 0
  let connection: RoutedConnection = await routing.open(first.way())
  const next = () => (turn++ % 2 === 0 ? second : first).way()
  const took = await alternate(
    {
      repoint: async () => {
        connection = await routing.repoint(connection, next())
      },
      reopen: async () => {
        const other = await routing.open(first.way())
        await other.close()
      }
    },
    { rounds: 300, warmUp: 30 }
  )
  await connection.close()
  figure({
    what: 'a connection handed on, identity row included',
    measured: ms(took.repoint.median),
    against: `opened and closed ${ms(took.reopen.median)}`,
    ratio: took.repoint.median / took.reopen.median
  })
}

async function hot() {
  const pool = createPool({ ...optionsOf(first.way()), connectionLimit: 6 })
  const stock = await new DataSource({ type: 'mysql', ...place, poolSize: 6, entities: [Notes] }).initialize()
  const { budget, pools } = server.budget({ max: 8 }, { connections: 6 })
  const routed = (act: (db: DataSource) => Promise<unknown>) => using(pools[0] as TenantPool, first, act)
  const all = (act: (id: number) => Promise<unknown>) => () => together(1_000, 6, index => act((index % 1_000) + 1))
  const took = await alternate(
    {
      pool: all(id => pool.query(text, [id])),
      query: all(id => routed(db => db.query(text, [id]))),
      stockQuery: all(id => stock.query(text, [id])),
      find: all(id => routed(db => db.getRepository(Notes).findOneBy({ id }))),
      stockFind: all(id => stock.getRepository(Notes).findOneBy({ id }))
    },
    { rounds: 25, warmUp: 4 }
  )
  await Promise.all([pool.end(), stock.destroy(), budget.shutdown(0)])
  for (const [what, ours, theirs, name] of [
    ['raw queries', took.query, took.pool, 'a bare mysql2 pool'],
    ['raw queries', took.query, took.stockQuery, 'a stock DataSource'],
    ['findOneBy', took.find, took.stockFind, 'a stock DataSource']
  ] as const)
    figure({
      what: `one hot tenant, 1,000 ${what}`,
      measured: ms(ours.median),
      against: `${name} ${ms(theirs.median)}`,
      ratio: theirs.median / ours.median,
      target: { atLeast: 0.97 }
    })
}

async function many() {
  const options = { max: connections, acquireMs: 60_000, queue: requests }
  const turning = server.budget(options)
  const reopening = server.budget(options, { repoint: undefined })
  const ways = server.tenants.map(tenant => optionsOf(tenant.way()))
  const reconnecting = () =>
    together(requests, connections, async index => {
      const client = await createConnection(ways[(index * 37) % tenants] as ConnectionOptions)
      await client.query(text, [1])
      await client.end()
    })
  const took = await alternate(
    { turned: () => uniform(turning.pools), reopened: () => uniform(reopening.pools), reconnecting },
    { rounds: 5, warmUp: 1 }
  )
  const { failures, repoints, opens } = turning.budget.statistics
  await Promise.all([turning.budget.shutdown(0), reopening.budget.shutdown(0)])
  const rate = ({ median }: Samples) => perSecond((requests / median) * 1_000)
  figure({
    what: `${tenants} tenants uniform over ${connections} connections`,
    measured: rate(took.turned),
    against: `connecting, asking and ending by mysql2 alone ${rate(took.reconnecting)}`,
    ratio: took.reconnecting.median / took.turned.median,
    target: { atLeast: 4 }
  })
  figure({
    what: 'the same',
    measured: rate(took.turned),
    against: `the router closing and opening ${rate(took.reopened)}`,
    ratio: took.reopened.median / took.turned.median
  })
  note(`${opens} opened, ${repoints} handed on, ${failures} failed`)
}
