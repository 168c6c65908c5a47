import * as orm from 'typeorm'
import type { MysqlBinaries } from '../mariadb-server.js'
import { type MysqlServer, mysqlServer } from '../routed-mysql.js'
import { entities, Watcher } from './entities.js'
import type { World } from './world.js'

export async function mysqlWorld(binaries: MysqlBinaries): Promise<{ world: World; stop(): Promise<void> }> {
  const server = await mysqlServer(2, [], [], binaries)
  try {
    await makeSchemas(server, entities)
    const { routing, running, tenants, budget } = server
    const world: World = {
      routing,
      template: await routing.template({ entities, subscribers: [Watcher] }),
      tenants: tenants.map(({ database, as, way }) => ({ database, passwords: [as.password.reveal()], way })),
      budget,
      sql: {
        here: 'select database() as name',
        session: 'select connection_id() as id',
        sleep: 'select sleep(600)',
        fails: 'select nothing'
      },
      duplicate: { errno: 1062 },
      // MariaDB's and MySQL's.
      timedOut: { errno: running.flavour === 'mariadb' ? 1969 : 3024 },
      // TypeORM takes MariaDB’s way to write that a column has no default for another default.
      agreesWithItself: running.flavour === 'mysql',
      kill: session => running.root(`kill ${session}`),
      asleep: async () => {
        const rows = await running.root(
          `select id from information_schema.processlist where info = 'select sleep(600)'`
        )
        return rows.map(({ id }) => Number(id))
      }
    }
    return { world, stop: () => server.stop() }
  } catch (error) {
    await server.stop()
    throw error
  }
}

/** By stock TypeORM, in every tenant's database: what the shared metadata must agree with. */
export async function makeSchemas(
  { running, tenants }: MysqlServer,
  entities: NonNullable<orm.DataSourceOptions['entities']>
) {
  await running.root(`create user if not exists maker identified by 'makes-schemas'; grant all on *.* to maker`)
  for (const { database } of tenants) {
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
}
