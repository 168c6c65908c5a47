import type { RoutedConnection } from '../../engines/routing.js'
import type { TenantPool } from '../tenant-pool.js'
import { Link } from './chain.js'

export type SlotState = 'opening' | 'idle' | 'lent' | 'closing' | 'gone'

/** One counted connection, from before it is opened until the server has let it go. */
export class Slot {
  readonly pool: TenantPool
  state: SlotState = 'opening'
  connection: RoutedConnection | undefined
  openedAt = 0
  /** When it is not lent again however busy it is, in the clock of `performance.now()`. */
  retireAt: number
  idleSince = 0
  idleMs = 0
  /** Its place among the idle ones of its tenant, and of the server. */
  readonly ofTenant = new Link<Slot>(this)
  readonly ofServer = new Link<Slot>(this)

  constructor(pool: TenantPool, retireAt = Number.POSITIVE_INFINITY) {
    this.pool = pool
    this.retireAt = retireAt
  }

  /** When it is closed if nobody asks for it. */
  get expiresAt(): number {
    return Math.min(this.idleSince + this.idleMs, this.retireAt)
  }
}
