import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { eventually } from '../support/eventually.js'
import { routerWorld } from '../support/router-world.js'
import { skipWithoutPostgres } from '../support/servers.js'

const TENANTS = 200

if (!(await skipWithoutPostgres(t))) {
  const world = await routerWorld()
  t.teardown(() => world.close())
  const { one } = world
  const slugs = Array.from({ length: TENANTS }, (_, index) => `tenant-${index}`)
  const rest = [...slugs]
  const makers = Array.from({ length: 4 }, async () => {
    for (let slug = rest.pop(); slug; slug = rest.pop()) await world.tenant(slug)
  })
  await Promise.all([...makers, world.tenant('neighbour', { server: 'two' })])

  const status = async (app: FastifyInstance, slug: string) =>
    (await app.inject({ url: '/where', headers: { 'x-tenant': slug } })).statusCode
  const everybody = (app: FastifyInstance) => Promise.all(slugs.map(slug => status(app, slug)))
  const all = (code: number) => slugs.map(() => code)

  await t.test(`a server that is killed with ${TENANTS} tenants cached is one event, and heals by itself`, async t => {
    const { app, notices } = await world.app(t)
    const servers = () =>
      notices.filter(({ event }) => event.startsWith('server.')).map(({ event, server }) => [event, server])
    t.strictSame(await everybody(app), all(200))
    t.equal(await status(app, 'neighbour'), 200)

    let over = false
    const neighbour: number[] = []
    const next = (async () => {
      while (!over) neighbour.push(await status(app, 'neighbour'))
    })()
    one.server.kill('SIGKILL')
    await eventually(
      () => everybody(app),
      now => now.every(code => code === 503)
    )
    t.strictSame(servers(), [['server.away', 'one']])
    const [tries, since] = [one.proxy.accepted, performance.now()]
    for (let round = 0; round < 5; round += 1) t.strictSame(await everybody(app), all(503))
    // One at a time, each half a second after the one before at the soonest.
    const most = Math.max(5, 2 + (performance.now() - since) / 500)
    t.ok(one.proxy.accepted - tries <= most, `${one.proxy.accepted - tries} tries for ${5 * TENANTS} requests`)

    await one.server.restart()
    await eventually(
      () => status(app, slugs[0] ?? ''),
      code => code === 200
    )
    t.strictSame(await everybody(app), all(200), 'once one is served, all are')
    t.strictSame(servers(), [
      ['server.away', 'one'],
      ['server.back', 'one']
    ])
    over = true
    await next
    t.ok(neighbour.length > 10)
    t.ok(
      neighbour.every(code => code === 200),
      'nobody on another server noticed'
    )
  })
}
