import t, { type Test } from 'tap'
import * as orm from 'typeorm'
import { MysqlRouting } from '../../src/engines/mysql/routing/routing.js'
import { PostgresRouting } from '../../src/engines/postgres/routing/routing.js'
import type { EntityOptions, RoutingEngine } from '../../src/engines/routing.js'
import type { TenantPool } from '../../src/routing/tenant-pool.js'
import { mysqlBinaries } from '../support/mariadb-server.js'
import { decorate, User } from '../support/metadata/entities.js'
import { leases } from '../support/metadata/leases.js'
import { lost, until } from '../support/metadata/lost.js'
import { mysqlWorld } from '../support/metadata/mysql-world.js'
import { postgresWorld } from '../support/metadata/postgres-world.js'
import { twoAtOnce } from '../support/metadata/two-at-once.js'
import { type World, withDb } from '../support/metadata/world.js'
import { postgresBinaries, skipWithoutPostgres } from '../support/servers.js'

// The same facts on every engine that is found.

await t.test('what cannot be shared is refused before anybody connects', async t => {
  await t.test('PostgreSQL', t => refusals(t, new PostgresRouting()))
  await t.test('MySQL and MariaDB', t => refusals(t, new MysqlRouting()))
})

if (!(await skipWithoutPostgres(t))) {
  for (const binaries of await postgresBinaries()) {
    await t.test(`PostgreSQL ${binaries.version}`, async t => {
      const { world, stop } = await postgresWorld(binaries)
      t.teardown(stop)
      await facts(t, world)
      await t.test('an idle transaction', t => idle(t, world))
    })
  }
}
for (const binaries of await mysqlBinaries()) {
  await t.test(`${binaries.flavour} ${binaries.version}`, async t => {
    const { world, stop } = await mysqlWorld(binaries)
    t.teardown(stop)
    await facts(t, world)
  })
}

async function facts(t: Test, world: World) {
  await t.test('two tenants at once on one set of metadata', t => twoAtOnce(t, world))
  await t.test('leases', t => leases(t, world))
  await t.test('a lost connection', t => lost(t, world))
}

async function idle(t: Test, world: World) {
  const { budget, pools } = world.budget({ max: 4 })
  t.teardown(() => budget.shutdown(0))
  t.test('an idle transaction that ran into its limit is no trouble of the server’s', async t => {
    const seen = withDb(world, pools[0] as TenantPool, db =>
      db.transaction(async manager => {
        await manager.query(`set local idle_in_transaction_session_timeout = 20`)
        await until(() => budget.statistics.total === 0)
        await manager.find(User)
      })
    )
    await t.rejects(seen, { code: 'SERVER_FAILED', message: /idle-in-transaction/, retryable: false })
  })
}

async function refusals(t: Test, routing: RoutingEngine) {
  const refused = (options: EntityOptions, message: RegExp) =>
    t.rejects(routing.template(options), { code: 'ROUTER_ENTITIES', message })

  class Child {}
  class Lazy {}
  const id = orm.PrimaryGeneratedColumn()
  decorate(Child, { id })
  orm.Entity('child')(Child)
  decorate(Lazy, { id, child: orm.ManyToOne(() => Child, { lazy: true }) })
  orm.Entity('lazy')(Lazy)
  await refused({ entities: [Child, Lazy] }, /"child" of entity "Lazy" is lazy/)
  t.notOk(Object.hasOwn(Lazy.prototype, 'child'), 'and the class is as it was')

  const schema = new orm.EntitySchema<{ id: number; child: unknown }>({
    name: 'LazySchema',
    columns: { id: { type: 'int', primary: true } },
    relations: { child: { type: 'many-to-one', target: 'Child', lazy: true } }
  })
  const target = new orm.EntitySchema<{ id: number }>({
    name: 'Child',
    columns: { id: { type: 'int', primary: true } }
  })
  await refused({ entities: [schema, target] }, /"child" of entity "LazySchema" is lazy/)

  class Active extends orm.BaseEntity {}
  decorate(Active, { id })
  orm.Entity('active')(Active)
  await refused({ entities: [Active] }, /"Active" extends BaseEntity/)
  t.notOk(Object.hasOwn(Active, 'dataSource'), 'and the class leads nowhere')

  class Elsewhere {}
  decorate(Elsewhere, { id })
  orm.Entity({ name: 'elsewhere', database: 'other' })(Elsewhere)
  await refused({ entities: [Elsewhere] }, /"Elsewhere" names the database "other"/)

  class Counting {
    count = 0
    afterLoad() {
      this.count += 1
    }
  }
  orm.EventSubscriber()(Counting)
  await refused({ entities: [Child], subscribers: [Counting] }, /"count" of subscriber "Counting"/)

  class Remembering {
    readonly seen = new Map()
  }
  orm.EventSubscriber()(Remembering)
  await refused({ entities: [Child], subscribers: [Remembering] }, /"seen" of subscriber "Remembering"/)

  for (const option of ['cache', 'replication', 'password', 'synchronize', 'schema', 'timezone']) {
    const options = { entities: [Child], [option]: true }
    await refused(options as EntityOptions, new RegExp(`"${option}" cannot be shared`))
  }

  class Sneaky {
    afterLoad() {
      Object.assign(this, { last: 'state' })
    }
  }
  orm.EventSubscriber()(Sneaky)
  await routing.template({ entities: [Child], subscribers: [Sneaky] })
  const template = (await routing.template({ entities: [Child], subscribers: [Sneaky] })) as unknown as orm.DataSource
  t.throws(() => (template.subscribers[0] as Sneaky).afterLoad(), TypeError, 'state that comes later is refused then')
  t.throws(() => template.createQueryRunner(), { code: 'ROUTER_ENTITIES' })
  const nowhere = { acquire: () => Promise.reject(), release: () => {}, ended: undefined }
  t.throws(() => routing.dataSource({ entities: 0 }, 'x', nowhere), TypeError, 'another engine’s template is none')

  t.equal(process.env['PGTZ'], undefined)
}
