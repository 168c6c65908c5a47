import { PostgresRouting } from '../../src/engines/postgres/routing/routing.js'
import type { RoutedWay } from '../../src/engines/routing.js'
import type { BudgetOptions } from '../../src/routing/budget/options.js'
import { ServerBudget } from '../../src/routing/budget.js'
import type { TenantPool, TenantPoolOptions } from '../../src/routing/tenant-pool.js'
import { file, type RunningPostgres, startPostgres } from './postgres-engine.js'
import { make, makeTemplate, type Planned } from './real-engines.js'
import type { TestServerOptions } from './servers.js'

/** A tenant's database with the logins, grants and identity row of a real one. */
export interface RoutedTenant extends Planned {
  /** The first app login's way into it. */
  way(other?: Partial<RoutedWay>): RoutedWay
}

/** A server with tenants and the router's part of its engine. */
export interface RoutedServer {
  running: RunningPostgres
  routing: PostgresRouting
  tenants: RoutedTenant[]
  /** The budget and a pool for each tenant. */
  budget(
    options?: Partial<BudgetOptions>,
    each?: Partial<TenantPoolOptions>
  ): { budget: ServerBudget; pools: TenantPool[] }
  /** What the server itself counts: sessions of app logins. */
  sessions(where?: string): Promise<number>
  stop(): Promise<void>
}

/** Starts a server and makes tenants on it, each a copy of one template that `up` has built as its owner. */
export async function routedServer(count: number, up: string, options: TestServerOptions = {}): Promise<RoutedServer> {
  const running = await startPostgres(options)
  try {
    const template = await makeTemplate(running, [file('1_schema', up)])
    const tenants: RoutedTenant[] = []
    for (let made = 0; made < count; made += 1) tenants.push(routed(running, await make(running, template)))
    const routing = new PostgresRouting()
    return {
      running,
      routing,
      tenants,
      budget: (options = {}, each = {}) => {
        const budget = new ServerBudget({ name: 'main', max: 4, ...options })
        const pools = tenants.map((tenant, index) =>
          budget.tenant({ name: `tenant-${index}`, connections: 10, open: () => routing.open(tenant.way()), ...each })
        )
        return { budget, pools }
      },
      sessions: async (where = 'true') => {
        const [row] = await running.admin(
          `select count(*)::int as n from pg_stat_activity where application_name = 'app' and ${where}`
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

function routed({ access }: RunningPostgres, planned: Planned): RoutedTenant {
  const { host, port, tls } = access
  return {
    ...planned,
    way: other => ({
      address: { host, port, tls },
      database: planned.names.database,
      databaseId: planned.id,
      as: planned.as('app_a'),
      loginVersion: 1,
      applicationName: 'app',
      statementTimeoutMs: null,
      connectTimeoutMs: 10_000,
      ...other
    })
  }
}
