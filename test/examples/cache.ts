import { spawn, spawnSync } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { createClient } from '@redis/client'
import t from 'tap'
import { cached } from '../../examples/cache/cached.js'
import { becomes } from '../support/becomes.js'
import { controlPlane } from '../support/control-plane.js'
import { customers, makeTenants, routedApp, routerConfig } from '../support/routed-app.js'
import { scratch, skipWithoutPostgres } from '../support/servers.js'

const here = spawnSync('redis-server', ['--version']).status === 0
if (!here) t.comment('REDIS NOT FOUND: the cache example was not run. Install Debian’s redis-server.')
if (!here) t.plan(0, 'no redis-server on this machine')
else if (!(await skipWithoutPostgres(t))) {
  const folder = await mkdtemp(join(scratch, 'saasctl-redis.'))
  const socket = join(folder, 'redis.sock')
  // A socket and no port: nobody else's server is met by mistake.
  const arguments_ = ['--port', '0', '--unixsocket', socket, '--dir', folder, '--save', '', '--appendonly', 'no']
  const server = spawn('redis-server', arguments_, { stdio: 'ignore' })
  t.teardown(async () => {
    server.kill('SIGKILL')
    await rm(folder, { recursive: true, force: true })
  })
  const redis = createClient({ socket: { path: socket, tls: false, reconnectStrategy: 20 } })
  redis.on('error', () => {})
  await redis.connect()
  t.teardown(() => redis.destroy())
  const plane = await controlPlane()
  t.teardown(() => plane.close())
  await makeTenants(plane, ['acme', 'globex'])

  await t.test('cached reads are the tenant’s own, and void at once in every process', async t => {
    let reads = 0
    const config = await routerConfig(plane)
    const application = () =>
      routedApp(t, {
        config,
        routes: app => {
          app.get('/customers', { config: { tenant: 'host' } }, request =>
            cached(redis as never, request.tenant, ['customers'], 60, async () => {
              reads += 1
              return {
                tenant: request.tenant.slug,
                list: await (await request.tenantDb()).getRepository(customers).find()
              }
            })
          )
        }
      })
    const [one, other] = [await application(), await application()]
    const get = async (app: typeof one, slug: string) =>
      (await app.inject({ url: '/customers', headers: { host: `${slug}.app.example` } })).json().tenant
    for (const slug of ['acme', 'globex', 'acme', 'globex']) t.equal(await get(one, slug), slug)
    t.equal(await get(other, 'acme'), 'acme')
    t.equal(reads, 2, 'one read for each tenant, whichever process asks')
    await one.tenants.invalidate('acme')
    t.ok(await becomes(async () => (await get(other, 'acme')) === 'acme' && reads === 3))
    await get(other, 'globex')
    t.equal(reads, 3, 'the neighbour’s entry is still good')
  })
}
