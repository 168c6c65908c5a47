import type { RoutedConnection } from '../../engines/routing.js'
import type { Lease } from '../lease.js'
import type { TenantPool } from '../tenant-pool.js'
import { Link } from './chain.js'

/** Somebody who waits for a connection of one tenant. */
export class Waiter {
  readonly pool: TenantPool
  readonly lease: Lease
  readonly since: number
  /** Holds a connection inside a transaction: is served before all others, for they may be waiting for what it holds. */
  readonly urgent: boolean
  readonly give: (connection: RoutedConnection) => void
  readonly refuse: (error: unknown) => void
  readonly ofTenant = new Link<Waiter>(this)
  /** Among all who wait at the server, oldest first: everybody waits equally long at most, so it is the order of deadlines. */
  readonly ofServer = new Link<Waiter>(this)

  constructor(
    lease: Lease,
    since: number,
    urgent: boolean,
    give: (connection: RoutedConnection) => void,
    refuse: (error: unknown) => void
  ) {
    this.pool = lease.pool
    this.lease = lease
    this.since = since
    this.urgent = urgent
    this.give = give
    this.refuse = refuse
  }
}
