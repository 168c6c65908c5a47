import t from 'tap'
import type { DataSource } from 'typeorm'
import type { TenantPool } from '../../src/routing/tenant-pool.js'
import type { RoutedTenant } from '../support/routed-tenants.js'
import { routedServer } from '../support/routed-tenants.js'
import { postgresBinaries, skipWithoutPostgres } from '../support/servers.js'

if (!(await skipWithoutPostgres(t))) {
  for (const binaries of await postgresBinaries()) {
    t.test(`PostgreSQL ${binaries.version}`, async t => {
      const up = `create table notes (id int primary key, body varchar(20)); insert into notes values (1, 'one');`
      const server = await routedServer(1, up, { binaries })
      t.teardown(() => server.stop())
      const [tenant] = server.tenants as [RoutedTenant]
      const template = await server.routing.template({ entities: [] })
      const start = (preparedStatements: number) => {
        const open = () => server.routing.open(tenant.way({ preparedStatements }))
        const { budget, pools } = server.budget({ max: 1 }, { open })
        t.teardown(() => budget.shutdown(0))
        return async <T>(act: (db: DataSource) => Promise<T>): Promise<T> => {
          const lease = (pools[0] as TenantPool).lease()
          try {
            return await act(server.routing.dataSource(template, tenant.names.database, lease))
          } finally {
            lease.end()
          }
        }
      }
      const asOwner = (sql: string) => server.running.query(tenant.names.database, tenant.as('owner'), sql)
      const names = (db: DataSource) => db.query('select name, statement from pg_prepared_statements order by name')
      const find = (db: DataSource) => db.query('select * from notes where id = $1', [1])

      t.test('a statement that comes again and again is prepared, one that does not is not', async t => {
        const using = start(50)
        for (let turn = 0; turn < 8; turn += 1) {
          await using(find)
          await using(db => db.query(`select ${turn} + $1::int`, [turn]))
        }
        t.match(await using(names), [{ statement: 'select * from notes where id = $1' }])
      })

      t.test('no connection prepares more than it may, and with none it prepares none', async t => {
        for (const most of [2, 0]) {
          const using = start(most)
          for (let text = 0; text < 6; text += 1) {
            for (let turn = 0; turn < 8; turn += 1) {
              const [row] = await using(db => db.query(`select $1::int + ${text} as sum`, [turn]))
              t.equal(row.sum, turn + text)
            }
          }
          t.equal((await using(names)).length, most)
        }
      })

      t.test('a migration that changes what a statement returns goes unnoticed', async t => {
        const using = start(50)
        for (let turn = 0; turn < 8; turn += 1) await using(find)
        await asOwner('alter table notes alter body type text, add column more int')
        t.same(await using(find), [{ id: 1, body: 'one', more: null }])
        for (let turn = 0; turn < 8; turn += 1) t.match(await using(find), [{ id: 1 }])
        t.equal((await using(names)).length, 1, 'on a new connection')
      })

      t.test('inside a transaction it is an error that says "again", and again is fine', async t => {
        const using = start(50)
        for (let turn = 0; turn < 8; turn += 1) await using(find)
        const again = () =>
          using(db => db.transaction(manager => manager.query('select * from notes where id = $1', [1])))
        await asOwner('alter table notes drop column more')
        await t.rejects(again(), { code: 'SERVER_BUSY', retryable: true })
        t.same(await again(), [{ id: 1, body: 'one' }])
      })

      t.test('an application that discards them itself is served all the same', async t => {
        const using = start(50)
        for (let turn = 0; turn < 8; turn += 1) await using(find)
        await using(db => db.query('discard all'))
        t.same(await using(find), [{ id: 1, body: 'one' }])
        t.same(await using(find), [{ id: 1, body: 'one' }])
        const error = await using(db => db.query('execute nothing_of_ours')).catch(error => error)
        t.match(error, { driverError: { code: '26000' } }, 'what is its own mistake is its own to hear')
      })
    })
  }
}
