import { hostname } from 'node:os'
import type { Catalog } from '../catalog/catalog.js'
import { crowdedRouter, heartbeatRouter, leaveRouter, shareOf } from '../catalog/routers.js'
import { asSaasctlError } from '../errors.js'
import { uuidv7 } from '../names.js'
import type { ServerBudget } from './budget.js'
import type { SchemaRange } from './tenant.js'

const BEAT_MS = 1_000
const LEASE_SECONDS = 15

/**
 * This router's part of each server's connections. Shares are leases: a router that joins gets its own after the others have
 * given back; with the catalog away everybody keeps what they had.
 */
export class Shares {
  readonly instance = uuidv7()
  readonly #catalog: Catalog
  readonly #options: { service: string; schema: SchemaRange; onLost(message: string): void }
  #timer: NodeJS.Timeout | undefined
  #beating: Promise<void> | undefined

  constructor(catalog: Catalog, options: { service: string; schema: SchemaRange; onLost(message: string): void }) {
    this.#catalog = catalog
    this.#options = options
  }

  /** Says that the router lives, now and from now on, and adapts its budgets to their shares. */
  async start(budgets: () => Promise<Map<string, ServerBudget>>): Promise<void> {
    await this.#say()
    this.#timer = setInterval(() => {
      this.#beating ??= this.#beat(budgets).finally(() => {
        this.#beating = undefined
      })
    }, BEAT_MS)
    this.#timer.unref()
  }

  /** The share of a server that is used for the first time. */
  async ask(serverId: string): Promise<number> {
    return shareOf(this.#catalog, this.instance, serverId, 0)
  }

  /** Other routers hold all that a tenant may have: they hear of it, or not when the catalog is away. */
  async crowded(serverId: string, tenantId: string): Promise<void> {
    await crowdedRouter(this.#catalog, this.instance, serverId, tenantId).catch(() => {})
  }

  async close(): Promise<void> {
    clearInterval(this.#timer)
    await this.#beating
    await leaveRouter(this.#catalog, this.instance).catch(() => {})
  }

  async #beat(budgets: () => Promise<Map<string, ServerBudget>>): Promise<void> {
    try {
      await this.#say()
      for (const [serverId, budget] of await budgets()) {
        // While the answer is on its way, it may open as many as it was allowed so far.
        const { total, max } = budget.statistics
        const share = await shareOf(this.#catalog, this.instance, serverId, Math.max(total, max))
        void budget.resize(share)
      }
    } catch (thrown) {
      const error = asSaasctlError(thrown)
      if (!error.code.startsWith('CATALOG_')) this.#options.onLost(error.message)
    }
  }

  #say(): Promise<void> {
    const { service, schema } = this.#options
    const router = { id: this.instance, service, host: hostname(), pid: process.pid, ...schema }
    return heartbeatRouter(this.#catalog, router, LEASE_SECONDS)
  }
}
