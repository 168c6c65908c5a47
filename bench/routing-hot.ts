import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { Worker } from 'node:worker_threads'
import fastify, { type FastifyInstance } from 'fastify'
import pg from 'pg'
import { DataSource } from 'typeorm'
import type { RoutedWay } from '../src/engines/routing.js'
import { fromSubdomain, router } from '../src/router.js'
import { enlist, planConnections } from './support/enlisted-fleet.js'
import { Notes } from './support/entities.js'
import { alternate } from './support/measure.js'
import { figure, note } from './support/report.js'
import { configOf, routedFleet } from './support/routed-fleet.js'

// One tenant that is busy all the time: an application on the router, hostname, catalog's answer, lease and all, against one
// that has this tenant only. The router prepares what comes again and again, which nobody does by hand; the pool whose
// statement has a name is there to say how much of the ratio that is. `node dist/bench/routing-hot.js 500` takes seconds.
const requests = Number(process.argv[2] ?? 3_000)
const connections = 32

const fleet = await routedFleet(1)
const enlisted = await enlist(fleet, 40)
const way = fleet.ways[0] as RoutedWay
const { user: username, ...place } = configOf(way)
const pool = new pg.Pool({ ...configOf(way), max: planConnections })
const stock = new DataSource({
  type: 'postgres',
  ...place,
  username,
  poolSize: planConnections,
  entities: [Notes],
  installExtensions: false
})
await stock.initialize()

const text = 'select id, body from notes where id = $1'
type Asked = { Params: { id: string } }
const alone = fastify()
alone.get<Asked>('/raw/:id', async ({ params }) => (await pool.query(text, [params.id])).rows)
alone.get<Asked>('/named/:id', async ({ params }) => {
  return (await pool.query({ name: 'note', text, values: [params.id] })).rows
})
alone.get<Asked>('/find/:id', async ({ params }) => stock.getRepository(Notes).findOneBy({ id: Number(params.id) }))
const routed = fastify()
await routed.register(router, {
  config: enlisted.routerConfig,
  entities: [Notes],
  resolve: [fromSubdomain('app.example')]
})
routed.get<Asked>('/raw/:id', async request => (await request.tenantDb()).query(text, [request.params.id]))
routed.get<Asked>('/find/:id', async request => {
  return (await request.tenantDb()).getRepository(Notes).findOneBy({ id: Number(request.params.id) })
})
const apps = [alone, routed]
const client = new Worker(new URL('support/http-client.js', import.meta.url))

/** Notes whose answers are equally long. */
const messages = (path: string) =>
  Array.from(
    { length: 100 },
    (_, index) => `GET /${path}/${100 + index} HTTP/1.1\r\nHost: tenant-0.app.example\r\nConnection: keep-alive\r\n\r\n`
  )
const load = (app: FastifyInstance, path: string) => async () => {
  const { port } = app.server.address() as AddressInfo
  client.postMessage({ port, messages: messages(path), connections, requests })
  const [said] = await once(client, 'message')
  if (said !== 'done') throw new Error(said)
}

try {
  for (const app of apps) await app.listen({ port: 0, host: '127.0.0.1' })
  const rounds = { rounds: 15, warmUp: 3 }
  const raw = await alternate(
    { pool: load(alone, 'raw'), named: load(alone, 'named'), routed: load(routed, 'raw') },
    rounds
  )
  const find = await alternate({ stock: load(alone, 'find'), routed: load(routed, 'find') }, rounds)
  const each = (value: number) => `${((value / requests) * 1000).toFixed(1)} µs a request`
  figure({
    what: 'a raw query of one busy tenant',
    measured: each(raw.routed.median),
    against: `Fastify with a pg.Pool of its own ${each(raw.pool.median)}`,
    ratio: raw.pool.median / raw.routed.median,
    target: { atLeast: 0.97 }
  })
  figure({
    what: 'the same',
    measured: each(raw.routed.median),
    against: `a pg.Pool whose statement has a name ${each(raw.named.median)}`,
    ratio: raw.named.median / raw.routed.median
  })
  figure({
    what: 'findOneBy of one busy tenant',
    measured: each(find.routed.median),
    against: `Fastify with a stock DataSource of its own ${each(find.stock.median)}`,
    ratio: find.stock.median / find.routed.median,
    target: { atLeast: 0.97 }
  })
  note('as an application meets it: HTTP, one thread, the client in another')
} finally {
  await client.terminate()
  for (const app of apps) await app.close()
  await pool.end()
  await stock.destroy()
  await enlisted.close()
  await fleet.stop()
}
