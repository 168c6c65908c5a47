export interface BudgetOptions {
  /** The server, for messages. */
  name: string
  /** Connections to it at most, all tenants together: hard. */
  max: number
  /** Connections that are being opened at once at most; 6. More only make each other slower. */
  gate?: number
  /** How long somebody waits for a connection, in milliseconds; 5,000. */
  acquireMs?: number
  /** How many wait at most per tenant; 256. */
  queue?: number
  /** When an idle connection is closed, in milliseconds; 60,000, up to a tenth less for some. */
  idleMs?: number
  /** When a connection is closed however busy it is, in milliseconds; half an hour, up to a tenth less for some. */
  lifetimeMs?: number
}

export const defaults = {
  gate: 6,
  acquireMs: 5_000,
  queue: 256,
  idleMs: 60_000,
  lifetimeMs: 1_800_000
} satisfies Partial<BudgetOptions>

export interface BudgetStatistics {
  max: number
  /** Less than `max` for a while after the server had no more. */
  ceiling: number
  /** Everything that the server may count, those that are being opened and closed included. */
  total: number
  idle: number
  lent: number
  opening: number
  closing: number
  waiting: number
  /** Pools, those that are being drained included. */
  tenants: number
  opens: number
  /** Connections of one tenant that were made another's without closing them. */
  repoints: number
  /** Opens that failed. */
  failures: number
  /** Of these, because the server, database or login had no connection left. */
  refusals: number
  evictions: number
  /** Connections taken from a busy tenant for one that had none or fewer. */
  yields: number
  timeouts: number
}
