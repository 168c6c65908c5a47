import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import * as orm from 'typeorm'
import type { EntityTemplate } from '../../src/engines/routing.js'
import type { TenantPool } from '../../src/routing/tenant-pool.js'
import { skipWithoutMysql } from '../support/mariadb-server.js'
import { makeSchemas } from '../support/metadata/mysql-world.js'
import { type MysqlServer, type MysqlTenant, mysqlServer } from '../support/routed-mysql.js'

// What only MySQL and MariaDB have: the types of columns, rows as a stream, a server's last words. The rest is the same on
// every engine, in shared-metadata.

const id = { type: 'int', primary: true, generated: true } as const
interface User {
  id: number
  name: string
}
const Users = new orm.EntitySchema<User>({
  name: 'User',
  tableName: 'users',
  columns: { id, name: { type: 'varchar', unique: true } }
})
interface Tag {
  id: number
  name: string
}
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
const entities = [Users, Tags, Everythings]

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

if (!(await skipWithoutMysql(t))) {
  const server = await mysqlServer(2, [])
  t.teardown(() => server.stop())
  await makeSchemas(server, entities)
  const template = await server.routing.template({ entities })
  for (const zone of ['America/New_York', 'Asia/Tokyo'])
    await t.test(`in ${zone}, what stock TypeORM returns`, t => asStock(t, server, template, zone))
  await t.test('rows as a stream', t => streams(t, server, template))
  await t.test('a server that goes down', t => down(t, server, template))
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

async function streams(t: Test, server: MysqlServer, template: EntityTemplate) {
  const { budget, pools } = server.budget({ max: 4 })
  t.teardown(() => budget.shutdown(0))
  const opened = server.tenants.map(({ database }, index) => {
    const lease = (pools[index] as TenantPool).lease()
    return { lease, name: database, db: server.routing.dataSource(template, database, lease) }
  })

  t.test('each sees its own, in a query builder’s or a runner’s, and none after its lease', async t => {
    for (const { db, name, lease } of opened) {
      await db.getRepository(Tags).insert(Array.from({ length: 30 }, (_, index) => ({ name: `${name} ${index}` })))
      const seen: string[] = []
      const stream = await db.createQueryBuilder(Tags, 't').select('t.name', 'name').stream()
      for await (const row of stream as unknown as AsyncIterable<{ name: string }>) seen.push(row.name)
      t.ok(seen.length === 30 && seen.every(tag => tag.startsWith(name)))
      const runner = db.createQueryRunner()
      const [rows] = await (await runner.connect()).promise().execute('select database() as name')
      t.same(rows, [{ name }])
      await runner.release()
      const late = db.createQueryRunner()
      await late.connect()
      lease.end()
      for (const one of [late, db.createQueryRunner()]) {
        await t.rejects(async () => one.stream('select 1'), { code: 'LEASE_ENDED' })
      }
    }
  })
}

async function down(t: Test, server: MysqlServer, template: EntityTemplate) {
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
  const find = `select id from information_schema.processlist where info = 'select sleep(600)'`

  t.test('under a request is explained from what was caught, and the next request is served', async t => {
    const error = await withDb(async db => {
      const asleep = db.query('select sleep(600)').catch(error => error)
      for (let [row] = await server.running.root(find); !row; [row] = await server.running.root(find)) await sleep(5)
      await server.running.restart()
      return asleep
    })
    t.match(server.routing.explain(error), { code: 'SERVER_UNREACHABLE', retryable: true })
    await withDb(async db => t.equal(await db.getRepository(Users).count(), 0))
  })
}
