import type { RouteKey } from '../catalog/routes.js'

/** What one name leads to: a route, or nowhere; and until when, in milliseconds of `performance.now()`. */
export interface LookupEntry<Route> {
  readonly key: RouteKey
  route: Route | undefined
  /** Until then it is answered as it is. */
  freshUntil: number
  /** Until then it is answered while the catalog is away. */
  usableUntil: number
  /** Asked for since it was last spared. */
  used: boolean
}

/**
 * The entries of the lookup, by kind of name: putting kind and name together into one key, and moving what was asked for
 * to a list's end, cost a request more than all the rest of a hit.
 */
export class LookupEntries<Route> {
  readonly #byName = {
    id: new Map<string, LookupEntry<Route>>(),
    slug: new Map<string, LookupEntry<Route>>(),
    hostname: new Map<string, LookupEntry<Route>>()
  }
  readonly #inOrder = new Set<LookupEntry<Route>>()

  get size(): number {
    return this.#inOrder.size
  }

  get({ by, value }: RouteKey): LookupEntry<Route> | undefined {
    return this.#byName[by].get(value)
  }

  /** Makes the key lead there; one entry a key, the same object as long as it stays. */
  put({ by, value }: RouteKey, leads: Omit<LookupEntry<Route>, 'key' | 'used'>): LookupEntry<Route> {
    const known = this.#byName[by].get(value)
    if (known) return Object.assign(known, leads, { used: true })
    const entry = { key: { by, value }, ...leads, used: false }
    this.#byName[by].set(value, entry)
    this.#inOrder.add(entry)
    return entry
  }

  delete(entry: LookupEntry<Route>): void {
    const { by, value } = entry.key
    if (!this.#inOrder.delete(entry)) return
    this.#byName[by].delete(value)
  }

  /** The oldest that was not asked for since it was last looked at here: CLOCK, which takes what LRU would or nearly so. */
  leastUsed(): LookupEntry<Route> | undefined {
    for (const entry of this.#inOrder) {
      if (!entry.used) return entry
      entry.used = false
      this.#inOrder.delete(entry)
      this.#inOrder.add(entry)
    }
    return undefined
  }

  [Symbol.iterator](): IterableIterator<LookupEntry<Route>> {
    return this.#inOrder.values()
  }
}
