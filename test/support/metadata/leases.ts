import type { Test } from 'tap'
import type { Lease } from '../../../src/routing/lease.js'
import type { TenantPool } from '../../../src/routing/tenant-pool.js'
import { Tag, User } from './entities.js'
import type { World, WorldTenant } from './world.js'

/** What must be true of a DataSource when its lease ends, in whatever state it is then. */
export async function leases(t: Test, { routing, template, tenants, sql, budget: budgetOf }: World) {
  const { budget, pools } = budgetOf({ max: 4 })
  t.teardown(() => budget.shutdown(0))
  const [tenant] = tenants as [WorldTenant]
  const open = (ran?: Lease['ran']) => {
    const lease = (pools[0] as TenantPool).lease(ran && { ran })
    return { lease, db: routing.dataSource(template, tenant.database, lease) }
  }

  t.test('every way of using a DataSource after its lease’s end is one clear error', async t => {
    const { lease, db } = open()
    const users = db.getRepository(User)
    const runner = db.createQueryRunner()
    await users.count()
    t.equal(lease.end(), 0)
    const uses: Record<string, () => Promise<unknown>> = {
      repository: () => users.find(),
      save: () => users.save({ name: 'late', address: {} }),
      manager: () => db.manager.find(User),
      'query builder': () => db.createQueryBuilder(User, 'u').getMany(),
      transaction: () => db.transaction(manager => manager.find(User)),
      raw: () => db.query('select 1'),
      runner: () => runner.query('select 1'),
      'new runner': () => db.createQueryRunner().connect(),
      driver: () => (db.driver as unknown as { obtainMasterConnection(): Promise<unknown> }).obtainMasterConnection()
    }
    for (const [what, late] of Object.entries(uses)) await t.rejects(late(), { code: 'LEASE_ENDED' }, what)
    t.match(budget.statistics, { lent: 0 })
  })

  t.test('what was not awaited is stopped, undone, and told why', async t => {
    const { lease, db } = open()
    let inside = () => {}
    const begun = new Promise<void>(resolve => {
      inside = resolve
    })
    const forgotten = db.transaction(async manager => {
      await manager.save(Tag, { name: 'forgotten' })
      inside()
      await manager.query(sql.sleep)
    })
    await begun
    const told = t.rejects(forgotten, { code: 'LEASE_ENDED' })
    t.equal(lease.end(), 1)
    await told
    const { lease: next, db: again } = open()
    t.equal(await again.getRepository(Tag).countBy({ name: 'forgotten' }), 0)
    next.end()
    t.match(budget.statistics, { lent: 0 })
  })

  t.test('a runner that was never released is found out at the end', async t => {
    const { lease, db } = open()
    const runner = db.createQueryRunner()
    await runner.startTransaction()
    t.equal(lease.held, 1)
    t.equal(lease.end(), 1)
    await t.rejects(runner.query('select 1'), { code: 'LEASE_ENDED' })
    await runner.release()
    t.match(budget.statistics, { lent: 0 })
  })

  t.test('a runner that is released while it still connects gives its connection back', async t => {
    const { lease, db } = open()
    const runner = db.createQueryRunner()
    const connecting = t.rejects(runner.connect())
    await runner.release()
    await connecting
    t.equal(lease.held, 0)
    lease.end()
  })

  t.test('a connection that an error left in doubt is lent again once the server has said how it stands', async t => {
    const { lease, db } = open()
    const session = async () => (await db.query(sql.session))[0].id
    const before = await session()
    await t.rejects(db.query('select * from nothing'))
    t.equal(await session(), before)
    lease.end()
    t.match(budget.statistics, { lent: 0 })
  })

  t.test('each statement is reported with the time that it took, and whether it failed', async t => {
    const ran: Array<[number, boolean]> = []
    const { lease, db } = open((milliseconds, failed) => ran.push([milliseconds, failed]))
    await db.query('select 1')
    await db.query(sql.fails).catch(() => {})
    lease.end()
    t.same(
      ran.map(([, failed]) => failed),
      [false, true]
    )
    t.ok(ran.every(([milliseconds]) => milliseconds > 0))
  })
}
