import t from 'tap'
import { eventually } from '../support/eventually.js'
import { type Answer, endRouter, type RouterProcess, routerProcess } from '../support/router-process.js'
import { routerWorld } from '../support/router-world.js'
import { skipWithoutPostgres } from '../support/servers.js'

if (!(await skipWithoutPostgres(t))) {
  const world = await routerWorld()
  t.teardown(() => world.close())
  const { one, change } = world
  const BUDGET = 12
  await change(`update saasctl.server set router_connections = $1 where name = 'one'`, [BUDGET])
  const slugs = Array.from({ length: 6 }, (_, index) => `tenant-${index}`)
  await Promise.all(slugs.map(slug => world.tenant(slug, { plan: 'large' })))

  const start = async (): Promise<RouterProcess> => {
    const router = await routerProcess(world.env)
    t.teardown(() => endRouter(router))
    return router
  }
  const shares = async () =>
    (
      await change<{ n: number }>(
        `select r.connections as n from saasctl.router_share r join saasctl.server s on s.id = r.server_id
         where s.name = 'one' order by 1`
      )
    ).map(({ n }) => n)
  const sum = (numbers: number[]) => numbers.reduce((total, n) => total + n, 0)

  /** Requests without end, three at once per tenant, until it is stopped; gives those that were not served. */
  const load = (router: RouterProcess) => {
    let over = false
    const failed: Answer[] = []
    const loops = slugs.flatMap(slug =>
      [1, 2, 3].map(async () => {
        while (!over) {
          const answer = await router.ask(slug, '/sleep?seconds=0.01').catch(() => undefined)
          if (!answer) return
          if (answer.status !== 200) failed.push(answer)
        }
      })
    )
    return async () => {
      over = true
      await Promise.all(loops)
      return failed
    }
  }

  const first = await start()
  const second = await start()

  await t.test('all routers together hold no more of a server than its budget, also while one joins', async t => {
    let [most, over] = [0, false]
    const sampling = (async () => {
      while (!over) most = Math.max(most, await one.sessions())
    })()
    const stops = [load(first), load(second)]
    await eventually(shares, now => now.length === 2 && now.every(n => n === BUDGET / 2))
    const third = await start()
    stops.push(load(third))
    await eventually(shares, now => now.length === 3 && now.every(n => n === BUDGET / 3))
    await eventually(
      () => one.sessions(),
      count => count > BUDGET / 2
    )
    for (const stop of stops) t.strictSame(await stop(), [], 'and every request is served')
    over = true
    await sampling
    t.ok(most > BUDGET / 2 && most <= BUDGET, `${most} at most`)

    third.kill('SIGTERM')
    await third.ended
    t.equal((await shares()).length, 2, 'who leaves gives its share back at once')
    await eventually(shares, now => now.every(n => n === BUDGET / 2))
  })

  await t.test('the share of a router that was killed is free once its lease has long run out, not before', async t => {
    const victim = await start()
    const stop = load(victim)
    await eventually(shares, now => now.length === 3 && now.every(n => n === BUDGET / 3))
    const [row] = await change<{ id: string }>('select id from saasctl.router_instance where pid = $1', [victim.pid])
    victim.kill('SIGKILL')
    await victim.ended
    await stop()
    await eventually(
      () => one.sessions(`application_name = 'app/${row?.id}'`),
      count => count === 0
    )
    t.equal(sum(await shares()), BUDGET)
    t.equal((await shares()).length, 3, 'its sessions may be there still, for all that anybody knows')
    const age = (interval: string) =>
      change(`update saasctl.router_instance set lease_until = lease_until - $1::interval where pid = $2`, [
        interval,
        victim.pid
      ])
    await age('80 s')
    await eventually(shares, now => now.length === 2 && now.every(n => n === BUDGET / 2))
  })
}
