import pg from 'pg'
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
      const { message, name, driverError } = error as QueryFailedError
      return { failed: error instanceof QueryFailedError, message, name, fields: { ...(error as object) }, driverError }
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

  const circular: Record<string, unknown> = {}
  circular['self'] = circular
  const prepared: Array<[string, unknown[]]> = [
    // The driver's own gives the connection up for it, so it comes before those that are to stay.
    ['select $1::jsonb as json', [circular]],
    [
      `select $1::int as int, $2::bigint as large, $3::numeric as exact, $4::timestamptz as at, $5::jsonb as json, $6::text[] as list,
         $7::bytea as bytes, $8::text as nothing, 1.5::float8 as float, $1 > 0 as yes, '{{1,2},{3,4}}'::int[] as nested`,
      [7, '9007199254740993', '1.20', new Date(0), { a: [1] }, ['x', 'y"'], Buffer.from('ab'), null]
    ],
    ['select 1 as twice, 2 as twice, $1::int as once', [3]],
    ['select from notes where id < $1', [3]],
    ['select id, body from notes where id > $1', [100]],
    ['insert into notes values ($1, $2)', [100, 'new']],
    ['insert into notes values ($1, $2) returning *', [100, 'new']],
    ['update notes set body = body where id < $1', [4]],
    ['delete from notes where id = $1 returning id', [19]],
    ['with gone as (delete from notes where id = $1 returning id) select * from gone', [18]],
    ['insert into notes values (1, $1)', ['twice']],
    ['select 1 / $1::int as sum', [0]],
    ['select 1 / $1::int as sum', [1]],
    ['select $1::int as number', ['none']],
    ['select $1::text as text', [{ toPostgres: () => 'of its own' }]]
  ]
  await t.test('statements that came often enough to be prepared give what TypeORM gives', async t => {
    for (const [text, parameters] of prepared) {
      for (let turn = 0; turn < 8; turn += 1) {
        const ours = await outcome(() => withDb(quiet, db => db.query(text, parameters)))
        const inRunner = await outcome(() =>
          withDb(quiet, db => db.manager.transaction(m => m.query(text, parameters)))
        )
        const theirs = await outcome(() => stock.query(text, parameters))
        // The first one has deleted what the others find no more.
        if (turn === 0) continue
        t.strictSame(ours, theirs, `${text}, turn ${turn}`)
        t.strictSame(inRunner, theirs, `${text} in a transaction, turn ${turn}`)
      }
    }
    const names = await withDb(quiet, db => db.query('select statement from pg_prepared_statements'))
    t.ok(names.length >= 10, `${names.length} of them are prepared on the connection`)
  })

  await t.test('a parser that an application registers late holds for prepared statements too', async t => {
    const ask = () => withDb(quiet, db => db.query('select $1::bigint as large', [5]))
    for (let turn = 0; turn < 8; turn += 1) t.strictSame(await ask(), [{ large: '5' }])
    const usual = pg.types.getTypeParser(20)
    t.teardown(() => pg.types.setTypeParser(20, usual))
    pg.types.setTypeParser(20, Number)
    t.strictSame(await ask(), [{ large: 5 }])
    pg.types.setTypeParser(20, () => {
      throw new RangeError('too large')
    })
    t.match((await outcome(ask)).driverError, { name: 'RangeError', message: 'too large' })
    pg.types.setTypeParser(20, usual)
    t.strictSame(await ask(), [{ large: '5' }], 'on the same connection')
  })

  await t.test(
    'parameters that the statement does not have are the application’s mistake, prepared or not',
    async t => {
      for (const text of ['select 1', '/* nothing */']) {
        for (let turn = 0; turn < 8; turn += 1) {
          const { failed, driverError } = await outcome(() => withDb(quiet, db => db.query(text, [1])))
          t.match({ failed, driverError }, { failed: true, driverError: { code: '08P01' } }, `${text}, turn ${turn}`)
        }
      }
    }
  )

  await t.test('the stack of a failed statement leads to whoever ran it', async t => {
    for (let turn = 0; turn < 8; turn += 1) {
      const error = await withDb(quiet, db => db.query('select 1 / $1::int', [0])).catch(error => error)
      t.match(error.driverError.stack, 'raw-queries', `turn ${turn}`)
    }
  })

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
