import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'
import type { DataSource } from 'typeorm'
import { SaasctlError } from '../../../src/errors.js'
import type { TenantPool } from '../../../src/routing/tenant-pool.js'
import { User } from './entities.js'
import { type World, type WorldTenant, withDb } from './world.js'

/** What an application hears when its connection breaks, or the plan's time is over. */
export async function lost(t: Test, world: World) {
  const { routing, template, tenants, sql, timedOut, kill, asleep } = world
  const { budget, pools } = world.budget({ max: 4 })
  t.teardown(() => budget.shutdown(0))
  const [tenant] = tenants as [WorldTenant]
  const using = (act: (db: DataSource) => Promise<unknown>) => withDb(world, pools[0] as TenantPool, act)
  const unreachable = { code: 'SERVER_UNREACHABLE', retryable: true } as const

  t.test('between two statements of a transaction is the server’s absence, not "already released"', async t => {
    const seen = using(db =>
      db.transaction(async manager => {
        const [{ id }] = await manager.query(sql.session)
        await kill(id)
        await until(() => budget.statistics.total === 0)
        await manager.find(User)
      })
    )
    const error = await seen.catch(error => error)
    t.ok(error instanceof SaasctlError)
    t.match(error, unreachable)
    t.equal(routing.explain(error), error)
  })

  t.test('in the middle of a statement too, as when a tenant is suspended, and the next request is served', async t => {
    const seen = t.rejects(
      using(db => db.query(sql.sleep)),
      unreachable
    )
    let [session] = await asleep()
    for (; session === undefined; [session] = await asleep()) await sleep(5)
    await kill(session)
    await seen
    await using(async db => t.ok((await db.getRepository(User).count()) > 0))
    t.match(budget.statistics, { lent: 0 })
  })

  t.test('a statement that ran into the plan’s time limit is the application’s to hear', async t => {
    const open = () => routing.open(tenant.way({ statementTimeoutMs: 400 }))
    const limited = world.budget({ max: 2 }, { open })
    t.teardown(() => limited.budget.shutdown(0))
    const lease = (limited.pools[0] as TenantPool).lease()
    const db = routing.dataSource(template, tenant.database, lease)
    const error = await db.query(`${sql.sleep} from users`).catch(error => error)
    t.match(error, { driverError: timedOut })
    t.equal(routing.explain(error), undefined)
    t.equal(lease.end(), 0)
  })
}

export async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await sleep(5)
}
