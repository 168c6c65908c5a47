import type { AddressInfo } from 'node:net'
import fastify from 'fastify'
import { loadConfig } from '../../src/config.js'
import { fromSubdomain, router } from '../../src/router.js'

/** An application with the router, in a process of its own: what its tenants suffer is not the measuring program's. */
const app = fastify()
await app.register(router, {
  config: loadConfig(),
  entities: [],
  resolve: [fromSubdomain('app.example')],
  acquireMs: 1_000
})
app.get('/note', async request => (await request.tenantDb()).query('select body from notes where id = $1', [1]))
app.get('/hang', async request => (await request.tenantDb()).query('select pg_sleep(3)'))
await app.listen({ port: 0, host: '127.0.0.1' })
process.stdout.write(`${(app.server.address() as AddressInfo).port}\n`)
process.once('SIGTERM', () => void app.close().then(() => process.exit(0)))
