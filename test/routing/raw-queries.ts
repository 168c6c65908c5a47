import t from 'tap'
import { DataSource, EntitySchema, QueryFailedError } from 'typeorm'
import { routedServer } from '../support/routed-tenants.js'
import { skipWithoutPostgres } from '../support/servers.js'

const notes = new EntitySchema<{ id: number; body: string }>({
  name: 'note',
  tableName: 'notes',
  columns: { id: { type: 'int', primary: true }, body: { type: 'text' } }
})

if (!(await skipWithoutPostgres(t))) {
  const up = `create table notes (id int primary key, body text not null); insert into notes select n, 'note ' || n from generate_series(1, 20) n;`
  const server = await routedServer(1, up)
  t.teardown(() => server.stop())
  const [tenant] = server.tenants
  const way = tenant?.way()
  if (!way) throw new Error('no tenant')
  const { budget, pools } = server.budget()
  t.teardown(() => budget.shutdown(0))
  const stock = new DataSource({
    type: 'postgres',
    host: way.address.host,
    port: way.address.port,
    database: way.database,
    username: way.as.login,
    password: way.as.password.reveal(),
    entities: [notes],
    installExtensions: false
  })
  await stock.initialize()
  t.teardown(() => stock.destroy())
  const quiet = await server.routing.template({ entities: [notes] })
  const logged: string[] = []
  const nothing = () => {}
  const loud = await server.routing.template({
    entities: [notes],
    logger: {
      logQuery: text => logged.push(text),
      logQueryError: nothing,
      logQuerySlow: nothing,
      logSchemaBuild: nothing,
      logMigration: nothing,
      log: nothing
    }
  })
  const withDb = async <T>(template: typeof quiet, work: (db: DataSource) => Promise<T>): Promise<T> => {
    const lease = pools[0]?.lease()
    if (!lease) throw new Error('no pool')
    try {
      return await work(server.routing.dataSource(template, way.database, lease))
    } finally {
      lease.end()
    }
  }
  /** Everything of an outcome that a program can see of it. */
  const outcome = async (run: () => Promise<unknown>) => {
    await stock.query('delete from notes where id = 100')
    try {
      return { answer: await run() }
    } catch (error) {
      const { message, name, query, parameters, driverError } = error as QueryFailedError
      const { code, detail, constraint } = (driverError ?? {}) as unknown as Record<string, unknown>
      return { failed: error instanceof QueryFailedError, message, name, query, parameters, code, detail, constraint }
    }
  }

  const statements: Array<[string, unknown[]?]> = [
    ['select id, body from notes where id = $1', [3]],
    ['select 1 as one, null as nothing, 2.50::numeric as decimal, now()::date::text = current_date::text as today'],
    ['select from notes where false'],
    ['insert into notes values ($1, $2) returning id', [100, 'new']],
    ['update notes set body = body where id < $1', [4]],
    ['update notes set body = body where id = $1 returning id', [4]],
    ['delete from notes where id = 100'],
    ['insert into notes values (1, $1)', ['twice']],
    ['select nonsense from notes'],
    ['selec'],
    ['select 1; select 2'],
    ['begin'],
    ['rollback'],
    ['']
  ]
  for (const [name, template] of [
    ['without a logger', quiet],
    ['with one', loud]
  ] as const) {
    await t.test(`raw statements ${name} give what TypeORM gives, answers and errors alike`, async t => {
      for (const [text, parameters] of statements) {
        const theirs = await outcome(() => stock.query(text, parameters))
        const ours = await outcome(() => withDb(template, db => db.query(text, parameters)))
        const inRunner = await outcome(() =>
          withDb(template, db => db.manager.transaction(m => m.query(text, parameters)))
        )
        t.strictSame(ours, theirs, text)
        if (!['begin', 'rollback'].includes(text)) t.strictSame(inRunner, theirs, `${text} in a transaction`)
      }
    })
  }

  await t.test('a logger that was asked for hears every statement', async t => {
    logged.length = 0
    await withDb(loud, db => db.query('select 42'))
    t.strictSame(logged, ['select 42'])
  })

  await t.test('parameters by name are refused as TypeORM refuses them', async t => {
    const named = { id: 1 } as never
    const theirs = await outcome(() => stock.query('select 1', named))
    t.match(await outcome(() => withDb(quiet, db => db.query('select 1', named))), theirs)
  })

  await t.test('a failed statement costs no connection, and nothing is left lent', async t => {
    const { opens } = budget.statistics
    await withDb(quiet, async db => {
      for (let index = 0; index < 20; index += 1) await t.rejects(db.query('selec'))
      t.same(await db.query('select 1 as one'), [{ one: 1 }])
    })
    t.equal(budget.statistics.lent, 0)
    t.equal(budget.statistics.opens, opens)
  })
}
