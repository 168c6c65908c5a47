import * as orm from 'typeorm'
import { type RoutedTenant, routedServer } from '../routed-tenants.js'
import type { Binaries } from '../servers.js'
import { entities, Watcher } from './entities.js'
import type { World } from './world.js'

export async function postgresWorld(binaries: Binaries): Promise<{ world: World; stop(): Promise<void> }> {
  const server = await routedServer(2, 'create table placeholder (id int);', { binaries })
  try {
    for (const tenant of server.tenants) await makeSchema(tenant)
    const { routing, running, tenants, budget } = server
    const world: World = {
      routing,
      template: await routing.template({ entities, subscribers: [Watcher] }),
      tenants: tenants.map(({ names, passwords, way }) => ({
        database: names.database,
        passwords: Object.values(passwords).map(password => password.reveal()),
        way
      })),
      budget,
      sql: {
        here: 'select current_database() as name',
        session: 'select pg_backend_pid() as id',
        sleep: 'select pg_sleep(600)',
        fails: 'select 1/0'
      },
      duplicate: { code: '23505' },
      timedOut: { code: '57014' },
      agreesWithItself: true,
      kill: session => running.admin(`select pg_terminate_backend(${session})`),
      asleep: async () => {
        const rows = await running.admin(`select pid from pg_stat_activity where query = 'select pg_sleep(600)'`)
        return rows.map(({ pid }) => Number(pid))
      }
    }
    return { world, stop: () => server.stop() }
  } catch (error) {
    await server.stop()
    throw error
  }
}

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
