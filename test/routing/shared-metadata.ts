import { setTimeout as sleep } from 'node:timers/promises'
import { inspect } from 'node:util'
import t, { type Test } from 'tap'
import * as orm from 'typeorm'
import type { EntityOptions, EntityTemplate } from '../../src/engines/routing.js'
import { SaasctlError } from '../../src/errors.js'
import type { Lease } from '../../src/routing/lease.js'
import type { TenantPool } from '../../src/routing/tenant-pool.js'
import { type RoutedServer, type RoutedTenant, routedServer } from '../support/routed-tenants.js'
import { postgresBinaries, skipWithoutPostgres } from '../support/servers.js'

// Decorators are called as functions: TypeScript's own kind, which this project compiles, has another signature.
type Decorator = (prototype: object, property: string) => void
const decorate = (target: { prototype: object }, properties: Record<string, Decorator>) => {
  for (const [property, decorator] of Object.entries(properties)) decorator(target.prototype, property)
}

class Address {
  declare city: string | null
}
class User {
  declare id: number
  declare name: string
  declare address: Address
  declare posts: Post[]
  declare deletedAt: Date | null
  declare version: number
}
class Post {
  declare id: number
  declare title: string
  declare author: User
  declare tags: Tag[]
  declare tagIds: number[]
}
class Tag {
  declare id: number
  declare name: string
  declare posts: Post[]
}
class Animal {
  declare id: number
  declare name: string
}
class Dog extends Animal {
  declare bark: number
}
class Cat extends Animal {
  declare meow: number
}
class Folder {
  declare id: number
  declare name: string
  declare children: Folder[]
  declare parent: Folder | null
}
class UserCount {
  declare count: number
}
interface Setting {
  key: string
  value: { of: string }
}

const text = { type: 'varchar' } as const
decorate(Address, { city: orm.Column({ ...text, nullable: true }) })
decorate(User, {
  id: orm.PrimaryGeneratedColumn(),
  name: orm.Column(text),
  address: orm.Column(() => Address),
  posts: orm.OneToMany<Post>(
    () => Post,
    post => post.author,
    { cascade: true }
  ),
  deletedAt: orm.DeleteDateColumn(),
  version: orm.VersionColumn()
})
orm.Unique(['name'])(User)
orm.Entity('users')(User)
decorate(Post, {
  id: orm.PrimaryGeneratedColumn(),
  title: orm.Column(text),
  author: orm.ManyToOne<User>(
    () => User,
    user => user.posts
  ),
  tags: orm.ManyToMany<Tag>(
    () => Tag,
    tag => tag.posts,
    { cascade: true }
  ),
  tagIds: orm.RelationId((post: Post) => post.tags)
})
orm.JoinTable()(Post.prototype, 'tags')
orm.Entity('posts')(Post)
decorate(Tag, {
  id: orm.PrimaryGeneratedColumn(),
  name: orm.Column(text),
  posts: orm.ManyToMany<Post>(
    () => Post,
    post => post.tags
  )
})
orm.Entity('tags')(Tag)
decorate(Animal, { id: orm.PrimaryGeneratedColumn(), name: orm.Column(text) })
orm.Entity('animals')(Animal)
orm.TableInheritance({ column: { type: 'varchar', name: 'kind' } })(Animal)
decorate(Dog, { bark: orm.Column({ type: 'int', nullable: true }) })
orm.ChildEntity()(Dog)
decorate(Cat, { meow: orm.Column({ type: 'int', nullable: true }) })
orm.ChildEntity()(Cat)
decorate(Folder, {
  id: orm.PrimaryGeneratedColumn(),
  name: orm.Column(text),
  children: orm.TreeChildren(),
  parent: orm.TreeParent()
})
orm.Entity('folders')(Folder)
orm.Tree('closure-table')(Folder)
decorate(UserCount, { count: orm.ViewColumn() })
orm.ViewEntity({
  name: 'user_count',
  expression: dataSource => dataSource.createQueryBuilder().select('count(*)::int', 'count').from(User, 'u')
})(UserCount)

const Settings = new orm.EntitySchema<Setting>({
  name: 'Setting',
  tableName: 'settings',
  columns: { key: { type: 'varchar', primary: true }, value: { type: 'jsonb' } }
})

/** What the subscriber saw: the database of the DataSource that an event came with, and the name of what was inserted. */
const events: Array<{ database: string | undefined; name: string; own: boolean }> = []
class Watcher implements orm.EntitySubscriberInterface {
  afterInsert({ entity, dataSource, manager }: orm.InsertEvent<{ name?: string }>) {
    if (!entity?.name) return
    events.push({ database: dataSource.driver.database, name: entity.name, own: manager.dataSource === dataSource })
  }
}
orm.EventSubscriber()(Watcher)

const entities = [User, Post, Tag, Animal, Dog, Cat, Folder, UserCount, Settings]

if (!(await skipWithoutPostgres(t))) {
  for (const binaries of await postgresBinaries()) {
    t.test(`PostgreSQL ${binaries.version}`, async t => {
      const server = await routedServer(2, 'create table placeholder (id int);', { binaries })
      t.teardown(() => server.stop())
      for (const tenant of server.tenants) await makeSchema(tenant)
      const template = await server.routing.template({ entities, subscribers: [Watcher] })
      await t.test('two tenants at once on one set of metadata', t => twoAtOnce(t, server, template))
      await t.test('leases', t => leases(t, server, template))
      await t.test('a lost connection', t => lost(t, server, template))
    })
  }
}
t.test('what cannot be shared is refused before anybody connects', refusals)

/** By stock TypeORM, as the owner: what the shared metadata must agree with. */
async function makeSchema(tenant: RoutedTenant) {
  const { host, port } = tenant.way().address
  const { login, password } = tenant.as('owner')
  const place = { type: 'postgres', host, port, database: tenant.names.database } as const
  const stock = new orm.DataSource({
    ...place,
    username: login,
    password: password.reveal(),
    entities,
    installExtensions: false
  })
  await stock.initialize()
  await stock.synchronize()
  await stock.destroy()
}

interface Both {
  name: string
  db: orm.DataSource
}

async function twoAtOnce(t: Test, server: RoutedServer, template: EntityTemplate) {
  const { budget, pools } = server.budget({ max: 4 })
  t.teardown(() => budget.shutdown(0))
  events.length = 0
  const opened = pools.map((pool, index) => {
    const lease = pool.lease()
    const tenant = server.tenants[index] as RoutedTenant
    const { database } = tenant.names
    return { lease, name: database, db: server.routing.dataSource(template, database, lease) }
  })
  t.teardown(() => opened.map(({ lease }) => lease.end()))
  const both = <T>(act: (tenant: Both) => Promise<T>): Promise<T[]> => Promise.all(opened.map(act))
  const [first, second] = opened as unknown as [Both, Both]

  t.test('metadata is the same object, what leads to a database is not', async t => {
    t.equal(first.db.getMetadata(User), second.db.getMetadata(User))
    t.not(first.db.manager, second.db.manager)
    t.not(first.db.getRepository(User), second.db.getRepository(User))
    t.equal(first.db.getRepository(User), first.db.getRepository(User))
    t.equal(first.db.getRepository(User).manager, first.db.manager)
    t.ok(first.db instanceof orm.DataSource)
    t.equal(first.db.isInitialized, true)
    t.equal(template.entities, first.db.entityMetadatas.length)
  })

  t.test('rows with cascades, many-to-many and embedded columns go to their own tenant', async t => {
    for (let turn = 0; turn < 25; turn += 1) {
      await both(({ db, name }) => {
        const users = db.getRepository(User)
        const posts = [{ title: `${name} post ${turn}`, tags: [{ name: `${name} tag ${turn}` }] }]
        return users.save(users.create({ name: `${name} ${turn}`, address: { city: name }, posts }))
      })
    }
    const found = await both(({ db }) => db.getRepository(User).find({ relations: { posts: { tags: true } } }))
    for (const [index, users] of found.entries()) {
      const { name } = opened[index] as Both
      t.equal(users.length, 25)
      t.ok(users.every(user => user.name.startsWith(name) && user.address.city === name))
      t.ok(users.every(({ posts: [post] }) => post?.title.startsWith(name) && post.tags[0]?.name.startsWith(name)))
    }
  })

  t.test('updates count versions, soft deletes hide and come back, upserts change what is there', async t => {
    await both(async ({ db, name }) => {
      const users = db.getRepository(User)
      const user = await users.findOneByOrFail({ name: `${name} 1` })
      user.address.city = 'moved'
      await users.save(user)
      t.match(await users.findOneByOrFail({ id: user.id }), { version: 2, address: { city: 'moved' } })
      await users.softRemove(user)
      t.equal(await users.findOneBy({ id: user.id }), null)
      await users.restore(user.id)
      await users.upsert({ name: `${name} 2`, address: { city: 'upserted' } }, ['name'])
      t.match(await users.findOneByOrFail({ name: `${name} 2` }), { address: { city: 'upserted' } })
      t.equal(await users.count(), 25)
    })
  })

  t.test('the query builder joins, nests, counts and loads relations', async t => {
    await both(async ({ db, name }) => {
      const users = await db
        .createQueryBuilder(User, 'u')
        .leftJoinAndSelect('u.posts', 'p')
        .leftJoinAndSelect('p.tags', 't')
        .where(builder => `u.id IN ${builder.subQuery().select('p2.authorId').from(Post, 'p2').getQuery()}`)
        .orderBy('u.id')
        .take(5)
        .getMany()
      t.equal(users.length, 5)
      t.ok(users.every(user => user.name.startsWith(name) && user.posts[0]?.tagIds.length === 1))
      const [related] = await db.createQueryBuilder().relation(User, 'posts').of(users[0]).loadMany<Post>()
      t.ok(related?.title.startsWith(name))
      t.equal(await db.getRepository(Post).count(), 25)
    })
  })

  t.test('transactions commit, roll back and nest, each with its own tenant’s manager', async t => {
    await both(async ({ db, name }) => {
      await db.transaction(async manager => {
        t.equal(manager.dataSource, db)
        await manager.getRepository(Tag).save({ name: `${name} outer` })
        await manager.transaction(nested => nested.save(Tag, { name: `${name} nested` }))
        await manager
          .transaction(async nested => {
            await nested.save(Tag, { name: `${name} undone` })
            throw new Error('undo')
          })
          .catch(() => {})
      })
      const failed = db.transaction('SERIALIZABLE', async manager => {
        await manager.save(Tag, { name: `${name} rolled back` })
        throw new Error('as planned')
      })
      await t.rejects(failed, { message: 'as planned' })
      const names = (await db.getRepository(Tag).find()).map(tag => tag.name)
      t.ok(names.every(tag => tag.startsWith(name)))
      t.ok(names.includes(`${name} outer`) && names.includes(`${name} nested`))
      t.notOk(names.includes(`${name} undone`) || names.includes(`${name} rolled back`))
    })
  })

  t.test('a subscriber is told with the tenant’s own DataSource', async t => {
    t.ok(events.length >= 100)
    t.ok(events.every(({ database, name, own }) => own && database !== undefined && name.startsWith(database)))
  })

  t.test('single-table inheritance, closure trees, views and schemas without a class', async t => {
    await both(async ({ db, name }) => {
      await db.manager.save(Object.assign(new Dog(), { name, bark: 3 }))
      await db.manager.save(Object.assign(new Cat(), { name, meow: 4 }))
      const animals = await db.getRepository(Animal).find({ order: { id: 'ASC' } })
      t.ok(animals[0] instanceof Dog && animals[1] instanceof Cat && animals.every(animal => animal.name === name))
      t.equal(await db.getRepository(Dog).count(), 1)

      const folders = db.getTreeRepository(Folder)
      const root = await folders.save({ name: `${name} root` })
      await folders.save({ name: `${name} leaf`, parent: root })
      const [tree] = await folders.findTrees()
      t.equal(tree?.children[0]?.name, `${name} leaf`)

      t.equal((await db.getRepository(UserCount).find())[0]?.count, 25)

      const settings = db.getRepository(Settings)
      await settings.save({ key: 'owner', value: { of: name } })
      t.same(await settings.findOneByOrFail({ key: 'owner' }), { key: 'owner', value: { of: name } })
    })
  })

  t.test('repositories of one’s own follow the manager that they are used with', async t => {
    await both(async ({ db }) => {
      const users = db.getRepository(User).extend({
        all() {
          return this.createQueryBuilder('u').getCount()
        }
      })
      t.equal(await users.all(), 25)
      t.equal(await db.transaction(manager => manager.withRepository(users).all()), 25)
    })
    const ofFirst = first.db.getRepository(User).extend({})
    const [name] = await second.db.transaction(manager => manager.withRepository(ofFirst).find({ take: 1 }))
    t.ok(name?.name.startsWith(second.name), 'also one that was made for another tenant')
  })

  t.test('raw statements, query runners and the schema’s diff see their own database', async t => {
    await both(async ({ db, name }) => {
      t.equal((await db.query('select current_database() as name'))[0].name, name)
      t.equal((await db.sql`select ${name} as name`)[0].name, name)
      const runner = db.createQueryRunner()
      try {
        t.equal(runner.dataSource, db)
        t.ok(await runner.hasTable('users'))
        t.equal(await runner.getCurrentDatabase(), name)
      } finally {
        await runner.release()
      }
      const { upQueries } = await db.driver.createSchemaBuilder().log()
      t.same(
        upQueries.map(({ query }) => query),
        [],
        'the shared metadata says what stock TypeORM has made'
      )
    })
  })

  t.test('an answer to the application’s own statement is TypeORM’s, with the driver’s error in it', async t => {
    await both(async ({ db, name }) => {
      const error = await db
        .getRepository(User)
        .insert({ name: `${name} 3`, address: {} })
        .catch(error => error)
      t.ok(error instanceof orm.QueryFailedError)
      t.match(error, { driverError: { code: '23505' } })
      t.equal(server.routing.explain(error), undefined)
    })
  })

  t.test(
    'more than a thousand turns of two tenants on four connections, nine statements each, never cross',
    async t => {
      let crossings = 0
      const turn = async (index: number) => {
        const { name } = opened[index] as Both
        const lease = (pools[index] as TenantPool).lease()
        try {
          const db = server.routing.dataSource(template, name, lease)
          const users = await db
            .getRepository(User)
            .find({ take: 3, order: { id: 'DESC' }, relations: { posts: true } })
          const written = await db.transaction(async manager => {
            await manager.save(Tag, { name: `${name} turn` })
            return manager.query('select current_database() as name')
          })
          const right =
            users.length === 3 &&
            users.every(user => user.name.startsWith(name) && user.posts[0]?.title.startsWith(name))
          if (!right || written[0].name !== name) crossings += 1
        } finally {
          lease.end()
        }
      }
      const lane = async (_: unknown, start: number) => {
        for (let turns = 0; turns < 160; turns += 1) await turn((start + turns) % 2)
      }
      await Promise.all(Array.from({ length: 8 }, lane))
      t.equal(crossings, 0)
      await both(async ({ db, name }) => {
        const strangers = await db.getRepository(Tag).countBy({ name: orm.Not(orm.Like(`${name}%`)) })
        t.equal(strangers, 0)
        t.equal(await db.getRepository(Tag).countBy({ name: `${name} turn` }), 640)
      })
      t.match(budget.statistics, { lent: 0, waiting: 0 })
    }
  )

  t.test('no password is in a DataSource, its options or what they print', async t => {
    const runner = first.db.createQueryRunner()
    await runner.connect()
    const seen = inspect(first.db, { depth: 12, showHidden: true }) + JSON.stringify(first.db.options)
    await runner.release()
    for (const { passwords } of server.tenants) {
      for (const password of Object.values(passwords)) t.notOk(seen.includes(password.reveal()))
    }
    t.equal(first.db.options.database, first.name)
    t.notOk('password' in first.db.options || 'url' in first.db.options)
  })

  t.test('changing the options of one changes no other', async t => {
    first.db.setOptions({ isolationLevel: 'SERIALIZABLE' })
    t.equal(second.db.options.isolationLevel, undefined)
  })

  t.test('destroying one ends that one', async t => {
    const lease = (pools[0] as TenantPool).lease()
    const other = server.routing.dataSource(template, first.name, lease)
    const runner = other.createQueryRunner()
    await runner.query('select 1')
    await other.destroy()
    t.equal(lease.held, 0)
    await t.rejects(other.getRepository(User).count(), /destroyed/)
    t.equal(await first.db.getRepository(User).count(), 25)
    t.equal(await second.db.getRepository(User).count(), 25)
    lease.end()
  })
}

async function leases(t: Test, server: RoutedServer, template: EntityTemplate) {
  const { budget, pools } = server.budget({ max: 4 })
  t.teardown(() => budget.shutdown(0))
  const [tenant] = server.tenants as [RoutedTenant]
  const open = (ran?: Lease['ran']) => {
    const lease = (pools[0] as TenantPool).lease({ ran })
    return { lease, db: server.routing.dataSource(template, tenant.names.database, lease) }
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
      'new runner': () => db.createQueryRunner().connect()
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
      await manager.query('select pg_sleep(600)')
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

  t.test('each statement is reported with the time that it took, and whether it failed', async t => {
    const ran: Array<[number, boolean]> = []
    const { lease, db } = open((milliseconds, failed) => ran.push([milliseconds, failed]))
    await db.query('select 1')
    await db.query('select 1/0').catch(() => {})
    lease.end()
    t.same(
      ran.map(([, failed]) => failed),
      [false, true]
    )
    t.ok(ran.every(([milliseconds]) => milliseconds > 0))
  })
}

async function lost(t: Test, server: RoutedServer, template: EntityTemplate) {
  const { budget, pools } = server.budget({ max: 4 })
  t.teardown(() => budget.shutdown(0))
  const [tenant] = server.tenants as [RoutedTenant]
  const withDb = async (act: (db: orm.DataSource) => Promise<unknown>) => {
    const lease = (pools[0] as TenantPool).lease()
    try {
      return await act(server.routing.dataSource(template, tenant.names.database, lease))
    } finally {
      lease.end()
    }
  }
  const kill = (pid: number) => server.running.admin(`select pg_terminate_backend(${pid})`)
  const unreachable = { code: 'SERVER_UNREACHABLE', retryable: true } as const

  t.test('between two statements of a transaction is the server’s absence, not "already released"', async t => {
    const seen = withDb(db =>
      db.transaction(async manager => {
        const [{ pid }] = await manager.query('select pg_backend_pid() as pid')
        await kill(pid)
        await until(() => budget.statistics.total === 0)
        await manager.find(User)
      })
    )
    const error = await seen.catch(error => error)
    t.ok(error instanceof SaasctlError)
    t.match(error, unreachable)
    t.equal(server.routing.explain(error), error)
  })

  t.test('in the middle of a statement too, and the next request is served', async t => {
    const seen = t.rejects(
      withDb(db => db.query('select pg_sleep(600)')),
      unreachable
    )
    const sleeping = `select pg_terminate_backend(pid) from pg_stat_activity where query = 'select pg_sleep(600)'`
    while ((await server.running.admin(sleeping)).length === 0) await sleep(5)
    await seen
    await withDb(async db => t.ok((await db.getRepository(User).count()) > 0))
    t.match(budget.statistics, { lent: 0 })
  })

  t.test('an idle transaction that ran into its limit is no trouble of the server’s', async t => {
    const seen = withDb(db =>
      db.transaction(async manager => {
        await manager.query(`set local idle_in_transaction_session_timeout = 20`)
        await until(() => budget.statistics.total === 0)
        await manager.find(User)
      })
    )
    await t.rejects(seen, { code: 'SERVER_FAILED', message: /idle-in-transaction/, retryable: false })
  })

  t.test('a statement that ran into the plan’s time limit is the application’s to hear', async t => {
    const limited = server.budget(
      { max: 2 },
      { open: () => server.routing.open(tenant.way({ statementTimeoutMs: 30 })) }
    )
    t.teardown(() => limited.budget.shutdown(0))
    const lease = (limited.pools[0] as TenantPool).lease()
    const db = server.routing.dataSource(template, tenant.names.database, lease)
    const error = await db.query('select pg_sleep(600)').catch(error => error)
    t.match(error, { driverError: { code: '57014' } })
    t.equal(server.routing.explain(error), undefined)
    t.equal(lease.end(), 0)
  })
}

async function refusals(t: Test) {
  const { PostgresRouting } = await import('../../src/engines/postgres/routing/routing.js')
  const routing = new PostgresRouting()
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

  for (const option of ['cache', 'replication', 'password', 'synchronize', 'schema']) {
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

  t.equal(process.env['PGTZ'], undefined)
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await sleep(5)
}
