import { setTimeout as sleep } from 'node:timers/promises'
import { inspect } from 'node:util'
import t, { type Test } from 'tap'
import * as orm from 'typeorm'
import { MysqlRouting } from '../../src/engines/mysql/routing/routing.js'
import type { EntityOptions, EntityTemplate } from '../../src/engines/routing.js'
import { SaasctlError } from '../../src/errors.js'
import type { Lease } from '../../src/routing/lease.js'
import type { TenantPool } from '../../src/routing/tenant-pool.js'
import { skipWithoutMysql } from '../support/mariadb-server.js'
import { type MysqlServer, type MysqlTenant, mysqlServer } from '../support/routed-mysql.js'

interface User {
  id: number
  name: string
  city: string | null
  posts: Post[]
  deletedAt: Date | null
  version: number
}
interface Post {
  id: number
  title: string
  author: User
  tags: Tag[]
}
interface Tag {
  id: number
  name: string
}
const id = { type: 'int', primary: true, generated: true } as const
const Users = new orm.EntitySchema<User>({
  name: 'User',
  tableName: 'users',
  columns: {
    id,
    name: { type: 'varchar', unique: true },
    city: { type: 'varchar', nullable: true },
    deletedAt: { type: 'datetime', deleteDate: true, nullable: true },
    version: { type: 'int', version: true }
  },
  relations: { posts: { type: 'one-to-many', target: 'Post', inverseSide: 'author', cascade: true } }
})
const Posts = new orm.EntitySchema<Post>({
  name: 'Post',
  tableName: 'posts',
  columns: { id, title: { type: 'varchar' } },
  relations: {
    author: { type: 'many-to-one', target: 'User', inverseSide: 'posts' },
    tags: { type: 'many-to-many', target: 'Tag', joinTable: true, cascade: true }
  }
})
const Tags = new orm.EntitySchema<Tag>({ name: 'Tag', tableName: 'tags', columns: { id, name: { type: 'varchar' } } })

type Everything = Record<string, unknown> & { id: number }
/** One column of each type that the driver or TypeORM changes on the way. */
const Everythings = new orm.EntitySchema<Everything>({
  name: 'Everything',
  tableName: 'everything',
  columns: {
    id,
    small: { type: 'smallint' },
    large: { type: 'bigint' },
    unsigned: { type: 'bigint', unsigned: true },
    price: { type: 'decimal', precision: 12, scale: 2 },
    ratio: { type: 'float' },
    exact: { type: 'double' },
    yes: { type: 'tinyint' },
    flag: { type: Boolean },
    bits: { type: 'bit' },
    day: { type: 'date' },
    at: { type: 'datetime', precision: 3 },
    stamp: { type: 'timestamp', precision: 3 },
    clock: { type: 'time' },
    annual: { type: 'year' },
    body: { type: 'text' },
    letter: { type: 'char', length: 3 },
    kind: { type: 'enum', enum: ['one', 'two'] },
    kinds: { type: 'set', enum: ['one', 'two'] },
    document: { type: 'json' },
    list: { type: 'simple-array' },
    simple: { type: 'simple-json' },
    blob: { type: 'blob' },
    binary: { type: 'varbinary', length: 20 },
    uuid: { type: 'uuid', generated: 'uuid' },
    nothing: { type: 'varchar', nullable: true },
    made: { type: 'datetime', createDate: true },
    changed: { type: 'datetime', updateDate: true }
  }
})
const entities = [Users, Posts, Tags, Everythings]

const example = (): Partial<Everything> => ({
  small: -7,
  large: '9007199254740993',
  unsigned: '18446744073709551615',
  price: '1234567890.10',
  ratio: 0.1,
  exact: 1 / 3,
  yes: 1,
  flag: true,
  bits: Buffer.from([1]),
  day: '2024-02-29',
  at: new Date('2024-07-01T23:30:00.123Z'),
  stamp: new Date('2024-01-01T00:30:00.456Z'),
  clock: '23:59:58',
  annual: 2024,
  body: 'it\'s \\ a \u0000 "test" 🦊',
  letter: 'ab',
  kind: 'two',
  kinds: ['one', 'two'],
  document: { of: ['things', 1, null], text: "it's" },
  list: ['a', 'b'],
  simple: { a: [1] },
  blob: Buffer.from([0, 39, 92, 255]),
  binary: Buffer.from('\\x00'),
  nothing: null
})

const inserted: string[] = []
class Watcher implements orm.EntitySubscriberInterface {
  afterInsert({ dataSource, manager, entity }: orm.InsertEvent<{ name?: string }>) {
    const right = manager.dataSource === dataSource && entity?.name?.startsWith(String(dataSource.driver.database))
    if (entity?.name && !right) inserted.push(`${entity.name} in ${dataSource.driver.database}`)
  }
}
orm.EventSubscriber()(Watcher)

if (!(await skipWithoutMysql(t))) {
  const server = await mysqlServer(2, [])
  t.teardown(() => server.stop())
  for (const tenant of server.tenants) await makeSchema(server, tenant)
  const template = await server.routing.template({ entities, subscribers: [Watcher] })
  for (const zone of ['America/New_York', 'Asia/Tokyo'])
    await t.test(`in ${zone}, what stock TypeORM returns`, t => asStock(t, server, template, zone))
  await t.test('two tenants at once on one set of metadata', t => twoAtOnce(t, server, template))
  await t.test('leases', t => leases(t, server, template))
  await t.test('a lost connection', t => lost(t, server, template))
}
t.test('what cannot be shared is refused before anybody connects', refusals)

/** By stock TypeORM: what the shared metadata must agree with. */
async function makeSchema({ running }: MysqlServer, { database }: MysqlTenant) {
  await running.root(`create user if not exists maker identified by 'makes-schemas'; grant all on *.* to maker`)
  const stock = new orm.DataSource({
    type: 'mysql',
    host: running.host,
    port: running.port,
    username: 'maker',
    password: 'makes-schemas',
    database,
    entities
  })
  await stock.initialize()
  await stock.synchronize()
  await stock.destroy()
}

async function asStock(t: Test, server: MysqlServer, template: EntityTemplate, zone: string) {
  const before = process.env['TZ']
  process.env['TZ'] = zone
  t.teardown(() => {
    if (before === undefined) delete process.env['TZ']
    else process.env['TZ'] = before
  })
  const [tenant] = server.tenants as [MysqlTenant]
  const { host, port } = tenant.way().address
  const stock = await new orm.DataSource({
    type: 'mysql',
    host,
    port,
    username: tenant.as.login,
    password: tenant.as.password.reveal(),
    database: tenant.database,
    timezone: 'Z',
    entities
  }).initialize()
  t.teardown(() => stock.destroy())
  await stock.query("set time_zone = '+00:00'")
  const { budget, pools } = server.budget({ max: 1 })
  t.teardown(() => budget.shutdown(0))
  const lease = (pools[0] as TenantPool).lease()
  const ours = server.routing.dataSource(template, tenant.database, lease)
  t.teardown(() => lease.end())

  for (const [writer, name] of [
    [ours, 'ours'],
    [stock, 'stock']
  ] as const) {
    const saved = await writer.getRepository(Everythings).save(example())
    const [seen, expected] = await Promise.all(
      [ours, stock].map(db => db.getRepository(Everythings).findOneByOrFail({ id: saved.id }))
    )
    // Stock hydrates UTC's midnight on the local calendar: in New York, the day before.
    t.same({ ...seen, day: 0 }, { ...expected, day: 0 }, `what ${name} wrote, as an entity`)
    t.match(seen, { ...example(), bits: Buffer, uuid: String }, 'and as it was written')
    const raw =
      'select e.*, count(*) over () as n, sum(price) over () as s, avg(small) over () as a from everything e where id = ?'
    t.same(...(await both(ours, stock, db => db.query(raw, [saved.id]))), `what ${name} wrote, raw`)
    const spread = (db: orm.DataSource) =>
      db.createQueryBuilder(Everythings, 'e').select(['e.price', 'e.at']).where('e.id = :id', saved).getRawAndEntities()
    t.same(...(await both(ours, stock, spread)))
  }
  const changes = 'update everything set small = small where small < ?'
  t.same(...(await both(ours, stock, async db => ({ ...(await db.query(changes, [5])) }))))
  const failures: Array<(db: orm.DataSource) => Promise<unknown>> = [
    db => db.getRepository(Users).insert({ id: 1 }),
    db => db.query('select * from ?', ['nothing']),
    db => db.query('insert into tags (id, name) values (1, ?)', ['x'.repeat(300)])
  ]
  for (const fail of failures) {
    const [mine, theirs] = await both(ours, stock, db => fail(db).catch(error => error))
    t.ok(mine instanceof orm.QueryFailedError)
    const told = ({ message, query, parameters, driverError }: orm.QueryFailedError) => {
      const { code, errno, sqlState, sqlMessage, sql } = driverError as unknown as Record<string, unknown>
      return { message, query, parameters, code, errno, sqlState, sqlMessage, sql }
    }
    t.same(told(mine as orm.QueryFailedError), told(theirs as orm.QueryFailedError))
  }
  await stock.query('delete from everything')
}

async function both<T>(
  ours: orm.DataSource,
  stock: orm.DataSource,
  act: (db: orm.DataSource) => Promise<T>
): Promise<[T, T]> {
  return [await act(ours), await act(stock)]
}

interface Both {
  name: string
  db: orm.DataSource
}

async function twoAtOnce(t: Test, server: MysqlServer, template: EntityTemplate) {
  const { budget, pools } = server.budget({ max: 4 })
  t.teardown(() => budget.shutdown(0))
  const opened = pools.map((pool, index) => {
    const lease = pool.lease()
    const { database } = server.tenants[index] as MysqlTenant
    return { lease, name: database, db: server.routing.dataSource(template, database, lease) }
  })
  t.teardown(() => opened.map(({ lease }) => lease.end()))
  const each = <T>(act: (tenant: Both) => Promise<T>): Promise<T[]> => Promise.all(opened.map(act))
  const [first, second] = opened as unknown as [Both, Both]

  t.test('metadata is the same object, what leads to a database is not', async t => {
    t.equal(first.db.getMetadata(Users), second.db.getMetadata(Users))
    t.not(first.db.manager, second.db.manager)
    t.equal(first.db.getRepository(Users), first.db.getRepository(Users))
    t.equal(first.db.getRepository(Users).manager, first.db.manager)
    t.ok(first.db instanceof orm.DataSource && first.db.isInitialized)
    t.equal(template.entities, first.db.entityMetadatas.length)
  })

  t.test('rows with cascades and many-to-many go to their own tenant, and subscribers hear of it there', async t => {
    for (let turn = 0; turn < 25; turn += 1) {
      await each(({ db, name }) => {
        const posts = [{ title: `${name} post ${turn}`, tags: [{ name: `${name} tag ${turn}` }] }]
        return db.getRepository(Users).save({ name: `${name} ${turn}`, city: name, posts })
      })
    }
    const found = await each(({ db }) => db.getRepository(Users).find({ relations: { posts: { tags: true } } }))
    for (const [index, users] of found.entries()) {
      const { name } = opened[index] as Both
      t.equal(users.length, 25)
      t.ok(users.every(user => user.name.startsWith(name) && user.city === name && user.version === 1))
      t.ok(users.every(({ posts: [post] }) => post?.title.startsWith(name) && post.tags[0]?.name.startsWith(name)))
    }
    t.same(inserted, [])
  })

  t.test('soft deletes hide and come back, upserts change what is there, updates count versions', async t => {
    await each(async ({ db, name }) => {
      const users = db.getRepository(Users)
      const user = await users.findOneByOrFail({ name: `${name} 1` })
      await users.save({ ...user, city: 'moved' })
      t.match(await users.findOneByOrFail({ id: user.id }), { version: 2, city: 'moved' })
      await users.softDelete(user.id)
      t.equal(await users.findOneBy({ id: user.id }), null)
      await users.restore(user.id)
      await users.upsert({ name: `${name} 2`, city: 'upserted' }, ['name'])
      t.match(await users.findOneByOrFail({ name: `${name} 2` }), { city: 'upserted' })
      t.equal(await users.count(), 25)
    })
  })

  t.test('the query builder joins, nests, counts, takes and has common table expressions', async t => {
    await each(async ({ db, name }) => {
      const users = await db
        .createQueryBuilder(Users, 'u')
        .leftJoinAndSelect('u.posts', 'p')
        .where(builder => `u.id IN ${builder.subQuery().select('p2.authorId').from(Posts, 'p2').getQuery()}`)
        .orderBy('u.id')
        .take(5)
        .getMany()
      t.equal(users.length, 5)
      const [related] = await db.createQueryBuilder().relation('User', 'posts').of(users[0]).loadMany<Post>()
      t.ok(related?.title.startsWith(name))
      const counted = await db
        .createQueryBuilder()
        .addCommonTableExpression('select id from users', 'known')
        .select('count(*)', 'n')
        .from('known', 'k')
        .getRawOne()
      t.equal(Number(counted.n), 25)
    })
  })

  t.test('transactions commit, roll back and nest, each with its own tenant’s manager', async t => {
    await each(async ({ db, name }) => {
      await db.transaction(async manager => {
        t.equal(manager.dataSource, db)
        await manager.getRepository(Tags).save({ name: `${name} outer` })
        await manager.transaction(nested => nested.getRepository(Tags).save({ name: `${name} nested` }))
        await manager
          .transaction(async nested => {
            await nested.getRepository(Tags).save({ name: `${name} undone` })
            throw new Error('undo')
          })
          .catch(() => {})
      })
      const failed = db.transaction('SERIALIZABLE', async manager => {
        await manager.getRepository(Tags).save({ name: `${name} rolled back` })
        throw new Error('as planned')
      })
      await t.rejects(failed, { message: 'as planned' })
      const names = (await db.getRepository(Tags).find()).map(tag => tag.name)
      t.ok(names.includes(`${name} outer`) && names.includes(`${name} nested`))
      t.notOk(names.includes(`${name} undone`) || names.includes(`${name} rolled back`))
    })
  })

  t.test('rows may be locked for reading and for writing, and whoever will not wait need not', async t => {
    await each(async ({ db }) => {
      for (const mode of ['pessimistic_read', 'pessimistic_write'] as const) {
        await db.transaction(async manager => {
          const holder = manager.getRepository(Tags)
          t.equal((await holder.find({ take: 2, lock: { mode } })).length, 2)
          const other = (onLocked: 'nowait' | 'skip_locked') =>
            db.transaction(another =>
              another.getRepository(Tags).find({ lock: { mode: 'pessimistic_write', onLocked }, order: { id: 'ASC' } })
            )
          await t.rejects(other('nowait'), orm.QueryFailedError)
          t.ok((await other('skip_locked')).length < 27)
        })
      }
      await db.transaction(async manager => {
        await manager.getRepository(Tags).find({ lock: { mode: 'pessimistic_write' } })
        const reading = (onLocked: 'nowait' | 'skip_locked') =>
          db.transaction(another => another.getRepository(Tags).find({ lock: { mode: 'pessimistic_read', onLocked } }))
        await t.rejects(reading('nowait'), orm.QueryFailedError)
        t.same(await reading('skip_locked'), [])
      })
    })
  })

  t.test('rows may be read as a stream, in a query builder’s or a runner’s', async t => {
    await each(async ({ db, name }) => {
      const seen: string[] = []
      const stream = await db.createQueryBuilder(Tags, 't').select('t.name', 'name').stream()
      for await (const row of stream as unknown as AsyncIterable<{ name: string }>) seen.push(row.name)
      t.ok(seen.length >= 27 && seen.every(tag => tag.startsWith(name)))
    })
  })

  t.test('raw statements, query runners and the schema’s diff see their own database', async t => {
    await each(async ({ db, name }) => {
      t.equal((await db.query('select database() as name'))[0].name, name)
      t.equal((await db.sql`select ${name} as name`)[0].name, name)
      const runner = db.createQueryRunner()
      try {
        t.equal(runner.dataSource, db)
        t.ok(await runner.hasTable('users'))
        t.equal(await runner.getCurrentDatabase(), name)
        const connection = await runner.connect()
        const [rows] = await connection.promise().execute('select database() as name')
        t.same(rows, [{ name }])
      } finally {
        await runner.release()
      }
    })
  })

  t.test('two tenants on two connections, hundreds of turns, never cross', async t => {
    let crossings = 0
    const small = server.budget({ max: 2, acquireMs: 30_000 })
    t.teardown(() => small.budget.shutdown(0))
    const turn = async (index: number) => {
      const { name } = opened[index] as Both
      const lease = (small.pools[index] as TenantPool).lease()
      try {
        const db = server.routing.dataSource(template, name, lease)
        const users = await db.getRepository(Users).find({ take: 3, order: { id: 'DESC' }, relations: { posts: true } })
        const right =
          users.length === 3 && users.every(user => user.name.startsWith(name) && user.posts[0]?.title.startsWith(name))
        const [row] = await db.transaction(manager => manager.query('select database() as name'))
        if (!right || row.name !== name) crossings += 1
      } finally {
        lease.end()
      }
    }
    const lane = async (_: unknown, start: number) => {
      for (let turns = 0; turns < 60; turns += 1) await turn((start + turns) % 2)
    }
    await Promise.all(Array.from({ length: 8 }, lane))
    t.equal(crossings, 0)
    t.match(small.budget.statistics, { lent: 0, waiting: 0, failures: 0 })
  })

  t.test('no password is in a DataSource, its options, its runners or what they print', async t => {
    const runner = first.db.createQueryRunner()
    await runner.connect()
    await runner.query('select 1')
    const seen = inspect([first.db, runner], { depth: 14, showHidden: true }) + JSON.stringify(first.db.options)
    await runner.release()
    for (const { as } of server.tenants) t.notOk(seen.includes(as.password.reveal()))
    t.equal(first.db.options.database, first.name)
  })

  t.test('destroying one ends that one', async t => {
    const lease = (pools[0] as TenantPool).lease()
    const other = server.routing.dataSource(template, first.name, lease)
    const runner = other.createQueryRunner()
    await runner.query('select 1')
    await other.destroy()
    t.equal(lease.held, 0)
    await t.rejects(other.getRepository(Users).count(), /destroyed/)
    t.equal(await first.db.getRepository(Users).count(), 25)
    t.equal(await second.db.getRepository(Users).count(), 25)
    lease.end()
  })
}

async function leases(t: Test, server: MysqlServer, template: EntityTemplate) {
  const { budget, pools } = server.budget({ max: 4 })
  t.teardown(() => budget.shutdown(0))
  const [tenant] = server.tenants as [MysqlTenant]
  const open = (ran?: Lease['ran']) => {
    const lease = (pools[0] as TenantPool).lease(ran && { ran })
    return { lease, db: server.routing.dataSource(template, tenant.database, lease) }
  }

  t.test('every way of using a DataSource after its lease’s end is one clear error', async t => {
    const { lease, db } = open()
    const users = db.getRepository(Users)
    const runner = db.createQueryRunner()
    await users.count()
    t.equal(lease.end(), 0)
    const uses: Record<string, () => Promise<unknown>> = {
      repository: () => users.find(),
      save: () => users.save({ name: 'late' }),
      'query builder': () => db.createQueryBuilder(Users, 'u').getMany(),
      transaction: () => db.transaction(manager => manager.find(Users)),
      raw: () => db.query('select 1'),
      runner: () => runner.query('select 1'),
      stream: () => runner.stream('select 1'),
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
      await manager.getRepository(Tags).save({ name: 'forgotten' })
      inside()
      await manager.query('select sleep(600)')
    })
    await begun
    const told = t.rejects(forgotten, { code: 'LEASE_ENDED' })
    t.equal(lease.end(), 1)
    await told
    const { lease: next, db: again } = open()
    t.equal(await again.getRepository(Tags).countBy({ name: 'forgotten' }), 0)
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
    const session = async () => (await db.query('select connection_id() as id'))[0].id
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
    await db.query('select nothing').catch(() => {})
    lease.end()
    t.same(
      ran.map(([, failed]) => failed),
      [false, true]
    )
    t.ok(ran.every(([milliseconds]) => milliseconds > 0))
  })
}

async function lost(t: Test, server: MysqlServer, template: EntityTemplate) {
  const { budget, pools } = server.budget({ max: 4 })
  t.teardown(() => budget.shutdown(0))
  const [tenant] = server.tenants as [MysqlTenant]
  const withDb = async (act: (db: orm.DataSource) => Promise<unknown>) => {
    const lease = (pools[0] as TenantPool).lease()
    try {
      return await act(server.routing.dataSource(template, tenant.database, lease))
    } finally {
      lease.end()
    }
  }
  const unreachable = { code: 'SERVER_UNREACHABLE', retryable: true } as const
  const find = `select id from information_schema.processlist where info = 'select sleep(600)'`

  t.test('between two statements of a transaction is the server’s absence', async t => {
    const seen = withDb(db =>
      db.transaction(async manager => {
        const [{ id }] = await manager.query('select connection_id() as id')
        await server.running.root(`kill ${id}`)
        await until(() => budget.statistics.total === 0)
        await manager.find(Users)
      })
    )
    const error = await seen.catch(error => error)
    t.ok(error instanceof SaasctlError)
    t.match(error, unreachable)
    t.equal(server.routing.explain(error), error)
  })

  t.test('in the middle of a statement too, as when a tenant is suspended, and the next request is served', async t => {
    const seen = t.rejects(
      withDb(db => db.query('select sleep(600)')),
      unreachable
    )
    let [row] = await server.running.root(find)
    for (; !row; [row] = await server.running.root(find)) await sleep(5)
    await server.running.root(`kill ${row['id']}`)
    await seen
    await withDb(async db => t.ok((await db.getRepository(Users).count()) > 0))
    t.match(budget.statistics, { lent: 0 })
  })

  t.test('a statement that ran into the plan’s time limit is the application’s to hear', async t => {
    const limited = server.budget(
      { max: 2 },
      { open: () => server.routing.open(tenant.way({ statementTimeoutMs: 30 })) }
    )
    t.teardown(() => limited.budget.shutdown(0))
    const lease = (limited.pools[0] as TenantPool).lease()
    const db = server.routing.dataSource(template, tenant.database, lease)
    const error = await db.query('select sleep(600) from users').catch(error => error)
    t.match(error, { driverError: { errno: 1969 } })
    t.equal(server.routing.explain(error), undefined)
    t.equal(lease.end(), 0)
  })

  t.test(
    'a server that goes down under a request, and one that is full, are explained from what was caught',
    async t => {
      const error = await withDb(async db => {
        const asleep = db.query('select sleep(600)').catch(error => error)
        for (let [row] = await server.running.root(find); !row; [row] = await server.running.root(find)) await sleep(5)
        await server.running.restart()
        return asleep
      })
      t.match(server.routing.explain(error), unreachable)
      await withDb(async db => t.ok((await db.getRepository(Users).count()) > 0))
    }
  )
}

async function refusals(t: Test) {
  const routing = new MysqlRouting()
  const refused = (options: EntityOptions, message: RegExp) =>
    t.rejects(routing.template(options), { code: 'ROUTER_ENTITIES', message })
  const columns = { id: { type: 'int', primary: true } } as const
  const Child = new orm.EntitySchema<{ id: number }>({ name: 'Child', columns })
  const Lazy = new orm.EntitySchema<{ id: number; child: unknown }>({
    name: 'Lazy',
    columns,
    relations: { child: { type: 'many-to-one', target: 'Child', lazy: true } }
  })
  await refused({ entities: [Child, Lazy] }, /"child" of entity "Lazy" is lazy/)
  class Active extends orm.BaseEntity {}
  const active = new orm.EntitySchema({ name: 'Active', target: Active, columns })
  await refused({ entities: [active] }, /"Active" extends BaseEntity/)
  t.notOk(Object.hasOwn(Active, 'dataSource'), 'and the class leads nowhere')
  const Elsewhere = new orm.EntitySchema<{ id: number }>({ name: 'Elsewhere', database: 'other', columns })
  await refused({ entities: [Elsewhere] }, /"Elsewhere" names the database "other"/)
  for (const option of ['cache', 'replication', 'password', 'synchronize', 'timezone']) {
    const options = { entities: [Child], [option]: true }
    await refused(options as EntityOptions, new RegExp(`"${option}" cannot be shared`))
  }
  const template = (await routing.template({ entities: [Child] })) as unknown as orm.DataSource
  t.throws(() => template.createQueryRunner(), { code: 'ROUTER_ENTITIES' })
  t.throws(
    () =>
      routing.dataSource({ entities: 0 }, 'x', {
        acquire: () => Promise.reject(),
        release: () => {},
        ended: undefined
      }),
    TypeError
  )
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await sleep(5)
}
