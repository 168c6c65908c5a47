import { setTimeout as sleep } from 'node:timers/promises'
import type { AuditEvent } from '../catalog/audit.js'
import { serversToBindFor } from '../catalog/bindings.js'
import type { Tools } from '../operations/kind.js'
import { bindServer } from './bind.js'

/** Long enough for the answer to be given first, and for what comes in one breath to be written in one. */
const PAUSE_MS = 50
/** How long a program that ends waits for a server: what is not written then is written by a worker. */
const PATIENCE_MS = 2_000

/**
 * Writes on the servers what this program has changed of tenants, a moment after it has answered: should the catalog be lost
 * now, nothing of the change is. At its best: a worker, the next change or a backup of the catalog writes what is missed.
 */
export class KeepBound {
  readonly #tools: Tools
  readonly #changed = new Set<string>()
  #timer: NodeJS.Timeout | undefined
  #writing: Promise<void> = Promise.resolve()

  constructor(tools: Tools) {
    this.#tools = tools
  }

  /** Events that were committed; those of tenants may have changed something. */
  heard(events: readonly AuditEvent[]): void {
    for (const { chain } of events) if (chain.startsWith('tenant:')) this.#changed.add(chain.slice('tenant:'.length))
    if (this.#changed.size > 0) this.#timer ??= setTimeout(() => this.#write(), PAUSE_MS).unref()
  }

  /** Writes what is left. */
  async close(): Promise<void> {
    this.#write()
    const late = new AbortController()
    await Promise.race([this.#writing, sleep(PATIENCE_MS, undefined, { signal: late.signal }).catch(() => {})])
    late.abort()
  }

  #write(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    const ids = [...this.#changed]
    this.#changed.clear()
    if (ids.length > 0) this.#writing = this.#writing.then(() => this.#bind(ids))
  }

  async #bind(tenantIds: string[]): Promise<void> {
    const servers = await serversToBindFor(this.#tools.catalog, tenantIds).catch(() => [])
    for (const id of servers) await bindServer(this.#tools, id).catch(() => {})
  }
}
