import type { Credentials } from '../../src/engines/engine.js'
import { identityOf, identityTable } from '../../src/engines/mysql/identity.js'
import { recordsOf } from '../../src/engines/mysql/names.js'
import { MysqlRouting } from '../../src/engines/mysql/routing/routing.js'
import type { RoutedWay } from '../../src/engines/routing.js'
import { databaseName, uuidv7 } from '../../src/names.js'
import type { BudgetOptions } from '../../src/routing/budget/options.js'
import { ServerBudget } from '../../src/routing/budget.js'
import type { TenantPool, TenantPoolOptions } from '../../src/routing/tenant-pool.js'
import { randomPassword } from '../../src/secrets/passwords.js'
import { type MariadbServer, type MysqlBinaries, startMariadb } from './mariadb-server.js'

/** A tenant's database on MariaDB with an app login, its grants and the identity row of a real one, made by plain SQL. */
export interface MysqlTenant {
  id: string
  database: string
  as: Credentials
  way(other?: Partial<RoutedWay>): RoutedWay
}

export interface MysqlServer {
  running: MariadbServer
  routing: MysqlRouting
  tenants: MysqlTenant[]
  /** The budget and a pool for each tenant. */
  budget(
    options?: Partial<BudgetOptions>,
    each?: Partial<TenantPoolOptions>
  ): { budget: ServerBudget; pools: TenantPool[] }
  /** What the server itself counts: sessions of app logins. */
  sessions(): Promise<number>
  stop(): Promise<void>
}

/** Starts a server and makes tenants on it; `up` is run in each database. */
export async function mysqlServer(
  count: number,
  up: string[],
  options: string[] = [],
  binaries?: MysqlBinaries
): Promise<MysqlServer> {
  const running = await startMariadb(options, binaries)
  try {
    const routing = new MysqlRouting()
    const tenants: MysqlTenant[] = []
    for (let made = 0; made < count; made += 1) tenants.push(await make(running, up))
    return {
      running,
      routing,
      tenants,
      budget: (options = {}, each = {}) => {
        const budget = new ServerBudget({ name: 'main', max: 4, ...options })
        const pools = tenants.map((tenant, index) =>
          budget.tenant({ name: `tenant-${index}`, connections: 10, ...waysOf(routing, tenant), ...each })
        )
        return { budget, pools }
      },
      sessions: async () => {
        const [row] = await running.root(
          `select count(*) as n from information_schema.processlist where user like 't%a'`
        )
        return Number(row?.['n'])
      },
      stop: () => running.stop()
    }
  } catch (error) {
    await running.stop()
    throw error
  }
}

/** How a pool of the tenant gets its connections. */
export function waysOf(routing: MysqlRouting, tenant: MysqlTenant): Pick<TenantPoolOptions, 'open' | 'repoint'> {
  return {
    open: () => routing.open(tenant.way()),
    repoint: former => routing.repoint(former, tenant.way())
  }
}

async function make({ root, host, port }: MariadbServer, up: string[]): Promise<MysqlTenant> {
  const id = uuidv7()
  const database = databaseName(id)
  const as = { login: `${database}a`, password: randomPassword() }
  await root(
    `create database ${database} character set utf8mb4; use ${database};
     create database ${recordsOf(database)}; ${identityTable(database)};
     insert into ${identityOf(database)} (database_id) values ('${id}'); ${up.map(sql => `${sql};`).join('\n')}
     create user ${as.login} identified by '${as.password.reveal()}' with max_user_connections 40;
     grant select, insert, update, delete, create temporary tables, lock tables, execute on ${database}.* to ${as.login};
     grant select, lock tables on ${recordsOf(database)}.* to ${as.login}`
  )
  return {
    id,
    database,
    as,
    way: other => ({
      address: { host, port, tls: { mode: 'disable' } },
      database,
      databaseId: id,
      as,
      loginVersion: 1,
      applicationName: 'app',
      statementTimeoutMs: null,
      connectTimeoutMs: 10_000,
      ...other
    })
  }
}
