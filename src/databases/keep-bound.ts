import { setTimeout as sleep } from 'node:timers/promises'
import type { AuditEvent } from '../catalog/audit.js'
import { serversToBindFor } from '../catalog/bindings.js'
import type { Tools } from '../operations/kind.js'
import { bindServer } from './bind.js'

/** Long enough for the answer to be given first, and for what comes in one breath to be written in one. */
const PAUSE_MS = 50
/** How long a program that ends waits for a server. */
const PATIENCE_MS = 5_000

/**
 * Writes on the servers what this program has changed of tenants, a moment after it has answered: should the catalog be lost
 * now, nothing of the change is. At its best: a worker, the next change or a backup of the catalog writes what is missed.
 */
export class KeepBound {
  readonly #tools: Tools
  readonly #report: (sentence: string) => void
  readonly #changed = new Set<string>()
  #missed = false
  #timer: NodeJS.Timeout | undefined
  #writing: Promise<void> | undefined
  readonly #late = new AbortController()

  constructor(tools: Tools, report: (sentence: string) => void) {
    this.#tools = tools
    this.#report = report
  }

  /** Events that were committed; those of tenants may have changed something. */
  heard(events: readonly AuditEvent[]): void {
    for (const { chain } of events) if (chain.startsWith('tenant:')) this.#changed.add(chain.slice('tenant:'.length))
    if (this.#changed.size > 0) this.#timer ??= setTimeout(() => this.#write(), PAUSE_MS).unref()
  }

  /** Writes what is left, and says so when it cannot. */
  async close(): Promise<void> {
    const { signal } = this.#late
    const patience = sleep(PATIENCE_MS, 'late', { signal }).catch(() => undefined)
    const ended = await Promise.race([this.#write(), patience])
    this.#late.abort()
    if (ended === 'late' || this.#missed)
      this.#report(
        'Not every server knows yet what was changed: a worker writes it there, or "saasctl catalog backup".'
      )
  }

  /** One at a time: what is heard meanwhile is written behind it, all at once. */
  #write(): Promise<void> {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#writing ??= this.#writeAll().finally(() => {
      this.#writing = undefined
    })
    return this.#writing
  }

  async #writeAll(): Promise<void> {
    while (this.#changed.size > 0) {
      const ids = [...this.#changed]
      this.#changed.clear()
      try {
        for (const id of await serversToBindFor(this.#tools.catalog, ids)) {
          if (this.#late.signal.aborted) return
          await bindServer(this.#tools, id)
        }
        this.#missed = false
      } catch {
        this.#missed = true
      }
    }
  }
}
