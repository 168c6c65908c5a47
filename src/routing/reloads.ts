/** Tenants that one question to the catalog asks for at most. */
const BATCH = 500

/**
 * Collects tenants that must be loaded again, and loads them a batch at a time: a change of a plan with ten thousand tenants is
 * twenty questions, one after another, beside which those of requests find a connection.
 */
export class Reloads {
  readonly #load: (tenantIds: string[]) => Promise<void>
  readonly #due = new Set<string>()
  #working = false

  constructor(load: (tenantIds: string[]) => Promise<void>) {
    this.#load = load
  }

  add(tenantId: string): void {
    this.#due.add(tenantId)
    if (!this.#working) void this.#work()
  }

  async #work(): Promise<void> {
    this.#working = true
    try {
      // What one notice, or one comparison, says is said in one go.
      await undefined
      while (this.#due.size > 0) {
        const some = [...this.#due].slice(0, BATCH)
        for (const tenantId of some) this.#due.delete(tenantId)
        await this.#load(some)
      }
    } catch {
      // The catalog is away: whoever asks next tries again and finds nothing old in the cache, and the comparison finds the rest.
      this.#due.clear()
    } finally {
      this.#working = false
    }
  }
}
