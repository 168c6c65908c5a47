import type { DataSource } from 'typeorm'
import type { EntityTemplate, RoutedWay, RoutingEngine } from '../../../src/engines/routing.js'
import type { BudgetOptions } from '../../../src/routing/budget/options.js'
import type { ServerBudget } from '../../../src/routing/budget.js'
import type { TenantPool, TenantPoolOptions } from '../../../src/routing/tenant-pool.js'

/** Two tenants on a server of any engine, with the schema of `entities`, and what is said otherwise there. */
export interface World {
  routing: RoutingEngine
  template: EntityTemplate
  tenants: WorldTenant[]
  budget(
    options?: Partial<BudgetOptions>,
    each?: Partial<TenantPoolOptions>
  ): { budget: ServerBudget; pools: TenantPool[] }
  sql: {
    /** The database's name, as `name`. */
    here: string
    /** The session's number, as `id`. */
    session: string
    /** Takes ten minutes. */
    sleep: string
    fails: string
  }
  /** What the driver says of the same value twice, and of a statement that took longer than the plan allows. */
  duplicate: object
  timedOut: object
  /** Stock TypeORM’s own diff of a schema that it has just made is empty. */
  agreesWithItself: boolean
  kill(session: number): Promise<unknown>
  /** The sessions that are at `sql.sleep`. */
  asleep(): Promise<number[]>
}

export interface WorldTenant {
  database: string
  passwords: string[]
  way(other?: Partial<RoutedWay>): RoutedWay
}

export async function withDb<T>(world: World, pool: TenantPool, act: (db: DataSource) => Promise<T>): Promise<T> {
  const lease = pool.lease()
  try {
    return await act(world.routing.dataSource(world.template, world.tenants[0]?.database ?? '', lease))
  } finally {
    lease.end()
  }
}
