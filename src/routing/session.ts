import type { DataSource, EntityManager } from 'typeorm'
import type { SaasctlError } from '../errors.js'
import { leaseEnded } from './budget/refusals.js'
import type { Lease } from './lease.js'
import type { Route } from './route.js'
import { type Tenant, tenantOf } from './tenant.js'
import type { Tenants } from './tenants.js'

/** One request's or callback's use of a tenant, from its first word to its end. */
export class TenantSession {
  readonly route: Route
  /** The route of the request, when it is one's. */
  readonly where: string | undefined
  readonly #tenants: Tenants
  #lease: Lease | undefined
  #dataSource: Promise<DataSource> | undefined
  #over = false

  constructor(tenants: Tenants, route: Route, where?: string) {
    this.#tenants = tenants
    this.route = route
    this.where = where
  }

  get tenant(): Tenant {
    return tenantOf(this.route)
  }

  /**
   * The tenant's DataSource, the same one until the session ends; LEASE_ENDED when it is used after that. TENANT_SCHEMA when
   * the program does not know the tenant's schema, TENANT_REFUSED when the tenant was closed meanwhile.
   */
  db(): Promise<DataSource> {
    this.#dataSource ??= this.#over ? Promise.reject(this.#late()) : this.#open()
    return this.#dataSource
  }

  /** Runs `work` in one transaction of the tenant's database: committed when it resolves, rolled back when it rejects. */
  async transaction<T>(work: (manager: EntityManager) => Promise<T>): Promise<T> {
    return (await this.db()).transaction(work)
  }

  /** Ends it; a second time is fine. Gives how many connections were still in use: a handler did not await them. */
  end(): number {
    this.#over = true
    return this.#lease?.end() ?? 0
  }

  async #open(): Promise<DataSource> {
    const { dataSource, lease } = this.#tenants.lendReady(this) ?? (await this.#tenants.lend(this))
    this.#lease = lease
    if (this.#over) {
      lease.end()
      throw this.#late()
    }
    return dataSource
  }

  #late(): SaasctlError {
    return leaseEnded(this.route.slug, this.where)
  }
}
