import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { eventually } from '../support/eventually.js'
import { endRouter, type RouterProcess, routerProcess } from '../support/router-process.js'
import { routerWorld } from '../support/router-world.js'
import { skipWithoutPostgres } from '../support/servers.js'

if (!(await skipWithoutPostgres(t))) {
  const world = await routerWorld()
  t.teardown(() => world.close())
  const { one, change } = world
  await Promise.all([world.tenant('acme', { plan: 'large' }), world.tenant('globex'), world.tenant('initech')])

  const start = async (env = world.env): Promise<RouterProcess> => {
    const router = await routerProcess(env)
    t.teardown(() => endRouter(router))
    return router
  }
  /** A router that has left cleanly leaves nothing of itself anywhere. */
  const traces = async () => {
    const [row] = await change<{ routers: number; shares: number; sessions: number }>(
      `select (select count(*)::int from saasctl.router_instance) as routers,
         (select count(*)::int from saasctl.router_share) as shares,
         (select count(*)::int from pg_stat_activity where application_name = 'app router') as sessions`
    )
    return { ...row, tenants: await one.sessions() }
  }
  const nothing = { routers: 0, shares: 0, sessions: 0, tenants: 0 }
  const clean = { code: 0, signal: null }

  await t.test('a router that is told to end under load finishes what has begun, and leaves nothing', async t => {
    const router = await start()
    let [served, over] = [0, false]
    const other = new Set<string>()
    const loops = ['acme', 'globex', 'acme', 'globex'].map(async slug => {
      while (!over) {
        const status = await router.ask(slug).then(
          answer => String(answer.status),
          () => 'no connection'
        )
        if (status === '200') served += 1
        else other.add(status)
        if (status === 'no connection') return
      }
    })
    await eventually(
      async () => served,
      count => count > 20
    )
    t.strictSame([...other], [])
    const hold = await world.holdRequests('acme')
    t.teardown(() => hold.letGo())
    const long = [router.ask('acme', '/where?held'), router.ask('initech', '/late?seconds=1')]
    await eventually(hold.waiting, count => count === 1)
    router.kill('SIGTERM')
    await Promise.all(loops)
    await hold.letGo()
    over = true
    for (const answer of await Promise.all(long)) t.match(answer, { status: 200, body: { same: true } })
    t.strictSame(await router.ended, clean, router.stderr())
    t.strictSame(
      [...other].filter(status => status !== '503' && status !== 'no connection'),
      [],
      'whoever comes too late is told so'
    )
    await eventually(traces, now => JSON.stringify(now) === JSON.stringify(nothing))
  })

  await t.test('a router ends although its catalog says nothing', async t => {
    const router = await start(world.envThrough)
    t.equal((await router.ask('acme')).status, 200)
    world.catalog.mode = 'silent'
    t.teardown(() => {
      world.catalog.mode = 'pass'
    })
    await sleep(100)
    router.kill('SIGTERM')
    t.strictSame(await router.ended, clean, router.stderr())
    await eventually(
      () => one.sessions(),
      count => count === 0
    )
  })

  await t.test('a router ends although a server says nothing', async t => {
    const router = await start()
    t.equal((await router.ask('acme')).status, 200)
    one.proxy.mode = 'silent'
    t.teardown(() => {
      one.proxy.mode = 'pass'
    })
    router.kill('SIGTERM')
    t.strictSame(await router.ended, clean, router.stderr())
  })
}
