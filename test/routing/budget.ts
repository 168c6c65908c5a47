import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import t, { type Test } from 'tap'
import type { RoutedConnection } from '../../src/engines/routing.js'
import type { Lease } from '../../src/routing/lease.js'
import type { TenantPool } from '../../src/routing/tenant-pool.js'
import { type RoutedServer, routedServer } from '../support/routed-tenants.js'
import { postgresBinaries, skipWithoutPostgres } from '../support/servers.js'

const up = `create table notes (id int generated always as identity primary key, tenant text not null);
  insert into notes (tenant) values (current_database());`

if (!(await skipWithoutPostgres(t))) {
  for (const binaries of await postgresBinaries()) {
    t.test(`PostgreSQL ${binaries.version}`, async t => {
      const server = await routedServer(4, up, { binaries })
      t.teardown(() => server.stop())
      // The template's row says the template's name.
      for (const { names } of server.tenants)
        await server.running.admin('update notes set tenant = current_database()', names.database)
      await t.test('the cap', t => theCap(t, server))
      await t.test('turns', t => turns(t, server))
      await t.test('holding one and asking for another', t => holding(t, server))
      await t.test('ends', t => ends(t, server))
      await t.test('changes', t => changes(t, server))
    })
    t.test(`PostgreSQL ${binaries.version} with too few connections`, async t => {
      const config = { max_connections: '14', superuser_reserved_connections: '5' }
      const server = await routedServer(4, up, { binaries, config })
      t.teardown(() => server.stop())
      await full(t, server)
    })
  }
}

async function theCap(t: Test, server: RoutedServer) {
  t.test('tenants that take turns on three connections never see one another', async t => {
    const { budget, pools } = start(t, server, { max: 3 })
    let crossings = 0
    await lanes(12, 60, async () => {
      const index = random(pools.length)
      const rows = await query(pools[index], 'select tenant from notes')
      if (rows.length !== 1 || rows[0]?.['tenant'] !== server.tenants[index]?.names.database) crossings += 1
    })
    t.equal(crossings, 0)
    t.ok(
      budget.statistics.evictions > 10,
      `connections went from tenant to tenant ${budget.statistics.evictions} times`
    )
    t.match(budget.statistics, { lent: 0, waiting: 0 })
  })

  t.test('the server never sees more connections than the budget, while sessions are killed', async t => {
    const { budget, pools } = start(t, server, { max: 4, gate: 3 })
    let [most, over, kills, turns] = [0, 0, 0, 0]
    const watching = { on: true }
    const watcher = (async () => {
      while (watching.on) {
        most = Math.max(most, await server.sessions())
        if (budget.statistics.total > 4) over += 1
        if (turns++ % 3 === 0) {
          kills += 1
          await server.running.admin(
            `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'app' order by random() limit 1`
          )
        }
        await sleep(5)
      }
    })()
    const failed = new Set<unknown>()
    await lanes(16, 40, async () => {
      await query(pools[random(pools.length)], 'select pg_sleep(0.001)').catch(error => failed.add(error.code))
    })
    watching.on = false
    await watcher
    t.ok(most > 1 && most <= 4, `${most} at most`)
    t.equal(over, 0)
    t.ok(kills > 0)
    for (const code of failed) t.match(code, /^(57P01|ECONNRESET|SERVER_UNREACHABLE)$|^undefined$/)
    for (const pool of pools) t.equal((await query(pool, 'select 1 as one'))[0]?.['one'], 1)
    t.match(budget.statistics, { lent: 0, waiting: 0 })
  })

  t.test('one tenant alone gets three quarters at most, and its plan’s number at most', async t => {
    const { pools } = start(t, server, { max: 4 })
    const held = await Promise.all([borrow(pools[0]), borrow(pools[0]), borrow(pools[0])])
    const late = borrow(pools[0])
    const other = await borrow(pools[1])
    t.equal(await server.sessions(), 4)
    other.give()
    held[0].give()
    ;(await late).give()
    for (const one of held.slice(1)) one.give()

    const small = start(t, server, { max: 4 }, { connections: 1 })
    const first = await borrow(small.pools[0])
    const second = borrow(small.pools[0])
    await sleep(20)
    t.match(small.budget.statistics, { total: 1, waiting: 1 })
    first.give()
    ;(await second).give()
    t.equal(small.budget.statistics.opens, 1)
  })

  t.test('idle connections are closed after a while, old ones when they come back', async t => {
    const { budget, pools } = start(t, server, { max: 4, idleMs: 50 })
    for (const pool of pools) await query(pool, 'select 1')
    await until(() => budget.statistics.total === 0)
    t.equal(await server.sessions(), 0)

    const short = start(t, server, { max: 4, lifetimeMs: 30 })
    const held = await borrow(short.pools[0])
    const [before] = await held.rows('select pg_backend_pid() as pid')
    await sleep(40)
    held.give()
    const [after] = await query(short.pools[0], 'select pg_backend_pid() as pid')
    t.not(after?.['pid'], before?.['pid'])
  })

  t.test('a thousand leases leave nothing lent, also those that forgot to give back', async t => {
    const { budget, pools } = start(t, server, { max: 4 })
    let forgotten = 0
    await lanes(8, 125, async index => {
      const lease = (pools[index % pools.length] as TenantPool).lease()
      const connection = await lease.acquire()
      if (index % 50 !== 0) lease.release(connection, false)
      forgotten += lease.end()
    })
    t.equal(forgotten, 20)
    t.match(budget.statistics, { lent: 0, waiting: 0 })
    t.ok(pools.every(pool => pool.leases.size === 0))
    await until(async () => (await server.sessions()) <= 4)
  })
}

async function turns(t: Test, server: RoutedServer) {
  t.test('inside a tenant, who asked first is served first', async t => {
    const { pools } = start(t, server, { max: 1 })
    const order: number[] = []
    const first = await borrow(pools[0])
    const asked = [0, 1, 2, 3, 4].map(async index => {
      const one = await borrow(pools[0])
      order.push(index)
      one.give()
    })
    first.give()
    await Promise.all(asked)
    t.same(order, [0, 1, 2, 3, 4])
  })

  t.test('tenants take turns: three that ask thrice each are served in a round', async t => {
    const { budget, pools } = start(t, server, { max: 1 })
    const order: string[] = []
    const first = await borrow(pools[3])
    const asked = [0, 1, 2].flatMap(index =>
      [0, 1, 2].map(async () => {
        const one = await borrow(pools[index])
        order.push('abc'.charAt(index))
        await sleep(30)
        one.give()
      })
    )
    first.give()
    await Promise.all(asked)
    t.equal(order.join(''), 'abcabcabc')
    t.equal(budget.statistics.yields, 6)
  })

  t.test('a tenant that floods is still waiting when all others are done', async t => {
    const { budget, pools } = start(t, server, { max: 2, queue: 1_000, acquireMs: 60_000 })
    let flooded = 0
    const flood = Array.from({ length: 400 }, async () => {
      await query(pools[0], 'select pg_sleep(0.004)')
      flooded += 1
    })
    await until(() => flooded > 0)
    await Promise.all([1, 2, 3].map(index => lanes(1, 5, () => query(pools[index], 'select 1'))))
    t.ok(flooded < 400, `${flooded} of 400 were done`)
    await Promise.all(flood)
    t.ok(budget.statistics.yields > 0)
    t.equal(budget.statistics.timeouts, 0)
  })

  t.test('beside a tenant that floods, the others find their connections where they left them', async t => {
    const { budget, pools } = start(t, server, { max: 4, queue: 1_000, acquireMs: 60_000 })
    const flooding = { on: true }
    const flood = lanes(20, 1, async () => {
      while (flooding.on) await query(pools[0], 'select pg_sleep(0.005)')
    })
    await until(() => pools[0]?.active === 3)
    const others = (turns: number) =>
      Promise.all(
        [1, 2, 3].map(index =>
          lanes(1, turns, async () => {
            await query(pools[index], 'select 1')
            await sleep(2)
          })
        )
      )
    let before = -1
    while (budget.statistics.opens !== before) {
      before = budget.statistics.opens
      await others(30)
    }
    t.equal(pools[0]?.active, 1, 'after a while nobody opens anything')
    flooding.on = false
    await flood
  })

  t.test('who waits too long, or behind too many, is told when to come back', async t => {
    const { budget, pools } = start(t, server, { max: 1, queue: 2, acquireMs: 100 })
    const held = await borrow(pools[0])
    const late = [borrow(pools[0]), borrow(pools[1])].map(asked =>
      t.rejects(asked, { code: 'ROUTER_BUDGET', retryable: true })
    )
    await Promise.all(late)
    t.equal(budget.statistics.timeouts, 2)
    const waiting = [borrow(pools[0]), borrow(pools[0])].map(asked => t.rejects(asked, { code: 'ROUTER_BUDGET' }))
    await t.rejects(borrow(pools[0]), { code: 'ROUTER_BUDGET', data: { retryAfterSeconds: 1 } }, 'the third in line')
    await Promise.all(waiting)
    held.give()
    t.equal((await query(pools[1], 'select 1 as one'))[0]?.['one'], 1, 'and serves on afterwards')
  })
}

async function holding(t: Test, server: RoutedServer) {
  const inTransaction = async (pool: TenantPool | undefined) => {
    const lease = leaseOf(pool)
    const connection = await lease.acquire()
    await clientOf(connection).query('begin')
    return { lease, connection }
  }
  const commit = async ({ lease, connection }: { lease: Lease; connection: RoutedConnection }) => {
    await clientOf(connection).query('commit')
    lease.release(connection, false)
    lease.end()
  }

  t.test('inside a transaction, when none is free, it fails at once instead of waiting for ever', async t => {
    const { budget, pools } = start(t, server, { max: 8, acquireMs: 600_000 }, { connections: 2 })
    const [a, b] = await Promise.all([inTransaction(pools[0]), inTransaction(pools[0])])
    for (const { lease } of [a, b])
      await t.rejects(lease.acquire(), { code: 'ROUTER_BUDGET', data: { retryAfterSeconds: 1 } })
    t.match(budget.statistics, { waiting: 0, lent: 2 })
    await Promise.all([commit(a), commit(b)])
    t.equal((await query(pools[0], 'select 1 as one'))[0]?.['one'], 1)
  })

  t.test('the same at the server’s cap, whoever holds the others', async t => {
    const { pools } = start(t, server, { max: 2, acquireMs: 600_000 })
    const [a, b] = await Promise.all([inTransaction(pools[0]), inTransaction(pools[1])])
    for (const { lease } of [a, b]) await t.rejects(lease.acquire(), { code: 'ROUTER_BUDGET' })
    await Promise.all([commit(a), commit(b)])
  })

  t.test('when one is idle, even another tenant’s, it is served, and before all who merely wait', async t => {
    const { pools } = start(t, server, { max: 4, acquireMs: 600_000 })
    await query(pools[1], 'select 1')
    const a = await inTransaction(pools[0])
    const others = await Promise.all([borrow(pools[2]), borrow(pools[3])])
    const order: string[] = []
    const second = a.lease.acquire().then(connection => {
      order.push('holder')
      return connection
    })
    const waiting = borrow(pools[2]).then(one => {
      order.push('waiter')
      one.give()
    })
    a.lease.release(await second, false)
    await commit(a)
    for (const other of others) other.give()
    await waiting
    t.same(order, ['holder', 'waiter'])
  })

  t.test(
    'statements side by side, none in a transaction, wait for one another on a plan of two connections',
    async t => {
      const { budget, pools } = start(t, server, { max: 8 }, { connections: 2 })
      const lease = leaseOf(pools[0])
      const answers = await Promise.all(
        [1, 2, 3, 4, 5, 6].map(async number => {
          const connection = await lease.acquire()
          try {
            return (await clientOf(connection).query(`select ${number} as n`)).rows[0].n
          } finally {
            lease.release(connection, false)
          }
        })
      )
      t.same(answers, [1, 2, 3, 4, 5, 6])
      t.equal(budget.statistics.opens, 2)
      lease.end()
    }
  )
}

async function ends(t: Test, server: RoutedServer) {
  t.test('what runs when a lease ends is stopped on the server too', async t => {
    const { budget, pools } = start(t, server)
    const lease = leaseOf(pools[0])
    const connection = await lease.acquire()
    const failed = t.rejects(clientOf(connection).query('select pg_sleep(600)'))
    await until(async () => (await server.sessions(`state = 'active'`)) === 1)
    t.equal(lease.end(), 1)
    t.equal(lease.end(), 0, 'a second time is fine')
    await failed
    await until(async () => (await server.sessions()) === 0)
    t.equal(budget.statistics.total, 0)
    await t.rejects(lease.acquire(), { code: 'LEASE_ENDED' })
  })

  t.test('a lease that ends while it waits is told so, and loses no turn for others', async t => {
    const { pools } = start(t, server, { max: 1 })
    const held = await borrow(pools[0])
    const lease = leaseOf(pools[1])
    const waiting = t.rejects(lease.acquire(), { code: 'LEASE_ENDED' })
    const next = borrow(pools[2])
    lease.end()
    await waiting
    held.give()
    ;(await next).give()
  })

  t.test('a connection left in a transaction, broken or busy is never lent again', async t => {
    const { budget, pools } = start(t, server)
    const leave = async (sql: string) => {
      const one = await borrow(pools[0])
      const [row] = await one.rows('select pg_backend_pid() as pid')
      await one.rows(sql).catch(() => {})
      one.give()
      return row?.['pid']
    }
    const pids = [
      await leave('begin'),
      await leave('begin; select 1/0'),
      await leave('select pg_terminate_backend(pg_backend_pid())')
    ]
    const busy = await borrow(pools[0])
    const unfinished = t.rejects(busy.rows('select pg_sleep(600)'))
    busy.give()
    await unfinished
    t.equal(new Set(pids).size, 3)
    const [row] = await query(pools[0], 'select pg_backend_pid() as pid')
    t.notOk(pids.includes(row?.['pid']))
    const [again] = await query(pools[0], 'select 1/0').catch(() => query(pools[0], 'select pg_backend_pid() as pid'))
    t.equal(again?.['pid'], row?.['pid'], 'an ordinary error costs no connection')
    t.equal(budget.statistics.lent, 0)
  })

  t.test('after a restart of the server, and after its crash, tenants are served again', async t => {
    const { budget, pools } = start(t, server)
    for (const pool of pools) await query(pool, 'select 1')
    await server.running.restart()
    await until(() => budget.statistics.total === 0)
    for (const pool of pools) t.equal((await query(pool, 'select 1 as one'))[0]?.['one'], 1)

    const running = t.rejects(query(pools[0], 'select pg_sleep(600)'))
    await until(async () => (await server.sessions(`state = 'active'`)) === 1)
    server.running.kill()
    await running
    await t.rejects(query(pools[1], 'select 1'))
    await server.running.restart()
    await until(() => budget.statistics.total === 0)
    for (const pool of pools) t.equal((await query(pool, 'select 1 as one'))[0]?.['one'], 1)
  })

  t.test('a drain cuts nobody who is done before its deadline, and lets nobody new in', async t => {
    const { budget, pools } = start(t, server)
    const [pool] = pools as [TenantPool]
    const lease = leaseOf(pool)
    await use(lease, 'select 1')
    const idle = await borrow(pool)
    idle.give()
    const drained = pool.drain(60_000)
    t.throws(() => pool.lease(), { code: 'ROUTER_BUDGET' })
    t.equal((await use(lease, 'select 1 as one'))[0]?.['one'], 1, 'a request goes on, statement by statement')
    t.equal((await use(lease, 'select 2 as two'))[0]?.['two'], 2)
    lease.end()
    t.equal(await drained, 0)
    t.equal(await server.sessions(), 0)
    t.match(budget.statistics, { total: 0, tenants: 3 })
    t.equal((await query(pools[1], 'select 1 as one'))[0]?.['one'], 1, 'others notice nothing')
  })

  t.test('at the deadline of a drain the rest is cut, and nothing of it runs on', async t => {
    const { pools } = start(t, server)
    const lease = leaseOf(pools[0])
    const running = use(lease, 'select pg_sleep(600)')
    await until(async () => (await server.sessions(`state = 'active'`)) === 1)
    const drained = (pools[0] as TenantPool).drain(60_000)
    const sooner = (pools[0] as TenantPool).drain(50)
    await t.rejects(running)
    t.same(await Promise.all([drained, sooner]), [1, 1])
    t.equal(await server.sessions(), 0)
    await t.rejects(lease.acquire(), { code: 'ROUTER_BUDGET' })
  })

  t.test('after a shutdown nothing is open, and nobody new gets in', async t => {
    const { budget, pools } = start(t, server)
    const lease = leaseOf(pools[0])
    for (const pool of pools) await query(pool, 'select 1')
    const closing = budget.shutdown(60_000)
    t.throws(() => budget.tenant({ name: 'late', connections: 1, open: () => server.routing.open(leaseWay(server)) }), {
      code: 'ROUTER_BUDGET'
    })
    t.equal((await use(lease, 'select 1 as one'))[0]?.['one'], 1)
    lease.end()
    await closing
    t.match(budget.statistics, { total: 0, tenants: 0 })
    t.equal(await server.sessions(), 0)
  })
}

async function changes(t: Test, server: RoutedServer) {
  t.test(
    'a smaller share closes what is idle at once and the rest as it comes back; a larger one is used at once',
    async t => {
      const { budget, pools } = start(t, server, { max: 4 })
      const held = await Promise.all([borrow(pools[0]), borrow(pools[1])])
      await Promise.all([query(pools[2], 'select 1'), query(pools[3], 'select 1')])
      let shrunk = false
      const done = budget.resize(1).then(() => {
        shrunk = true
      })
      await until(async () => (await server.sessions()) === 2)
      t.notOk(shrunk)
      held[0].give()
      await done
      t.equal(await server.sessions(), 1)
      const waiting = borrow(pools[2])
      await sleep(20)
      t.match(budget.statistics, { total: 1, waiting: 1 })
      await budget.resize(2)
      ;(await waiting).give()
      held[1].give()

      await budget.resize(0)
      t.equal(await server.sessions(), 0)
      const hoping = borrow(pools[0])
      await sleep(20)
      t.equal(budget.statistics.opening, 0)
      await budget.resize(1)
      ;(await hoping).give()
    }
  )

  t.test('a plan with fewer connections holds as they come back', async t => {
    const { budget, pools } = start(t, server, { max: 8 })
    const held = await Promise.all([borrow(pools[0]), borrow(pools[0]), borrow(pools[0])])
    ;(pools[0] as TenantPool).connections = 1
    for (const one of held) one.give()
    await until(() => budget.statistics.total === 1)
    t.equal(await server.sessions(), 1)
  })
}

async function full(t: Test, server: RoutedServer) {
  t.test('when the server has fewer connections than the budget, everybody is served by those', async t => {
    const { budget, pools } = start(t, server, { max: 40, acquireMs: 30_000 })
    await lanes(24, 10, async () => void (await query(pools[random(pools.length)], 'select pg_sleep(0.002)')))
    t.ok(budget.statistics.refusals > 0, `the server refused ${budget.statistics.refusals} times`)
    t.match(budget.statistics, { lent: 0, waiting: 0, timeouts: 0 })
    t.ok(budget.statistics.ceiling < 40, 'and is believed for a while')
  })

  t.test(
    'when one tenant’s login has fewer than its plan, that tenant is served by those, others as before',
    async t => {
      const [tenant] = server.tenants
      const login = tenant?.names.logins.app_a
      await server.running.admin(`alter role ${login} connection limit 1`)
      const { budget, pools } = start(t, server, { max: 6, acquireMs: 30_000 })
      await lanes(6, 10, async () => void (await query(pools[0], 'select pg_sleep(0.002)')))
      t.ok(budget.statistics.refusals > 0)
      t.match(budget.statistics, { ceiling: 6, timeouts: 0 })
      t.equal((await query(pools[1], 'select 1 as one'))[0]?.['one'], 1)

      await server.running.admin(`alter role ${login} connection limit 0`)
      const none = start(t, server, { max: 6, acquireMs: 300 })
      await t.rejects(query(none.pools[0], 'select 1'), { code: 'ROUTER_BUDGET', cause: { code: 'SERVER_BUSY' } })
      t.ok(none.budget.statistics.refusals < 8, 'and is not asked all the time')
      await server.running.admin(`alter role ${login} connection limit 10`)
    }
  )
}

function start(t: Test, server: RoutedServer, ...options: Parameters<RoutedServer['budget']>) {
  const started = server.budget(...options)
  t.teardown(() => started.budget.shutdown(0))
  return started
}

const leaseWay = (server: RoutedServer) => (server.tenants[0] as RoutedServer['tenants'][0]).way()
const clientOf = (connection: RoutedConnection) => connection.driver as pg.Client
const random = (below: number) => Math.floor(Math.random() * below)

function leaseOf(pool: TenantPool | undefined): Lease {
  if (!pool) throw new Error('There is no such pool.')
  return pool.lease()
}

/** A lease with one connection of it. */
async function borrow(pool: TenantPool | undefined) {
  const lease = leaseOf(pool)
  try {
    const connection = await lease.acquire()
    return {
      rows: async (sql: string): Promise<Array<Record<string, unknown>>> =>
        (await clientOf(connection).query(sql)).rows,
      give: () => {
        lease.release(connection, false)
        lease.end()
      }
    }
  } catch (error) {
    lease.end()
    throw error
  }
}

async function use(lease: Lease, sql: string): Promise<Array<Record<string, unknown>>> {
  const connection = await lease.acquire()
  try {
    return (await clientOf(connection).query(sql)).rows
  } finally {
    lease.release(connection, false)
  }
}

async function query(pool: TenantPool | undefined, sql: string): Promise<Array<Record<string, unknown>>> {
  const lease = leaseOf(pool)
  try {
    return await use(lease, sql)
  } finally {
    lease.end()
  }
}

/** Runs `act` in `width` lanes side by side, `length` times each. */
async function lanes(width: number, length: number, act: (index: number) => Promise<unknown>): Promise<void> {
  const lane = async (_: unknown, start: number) => {
    for (let turn = 0; turn < length; turn += 1) await act(turn * width + start)
  }
  await Promise.all(Array.from({ length: width }, lane))
}

/** Ends by the test's own time limit when it never holds. */
async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await sleep(5)
}
