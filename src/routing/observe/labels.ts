/**
 * Which tenants have a label of their own: the first so many that are seen, and every other one is "other". A label once
 * given stays, because a counter that changed its name would look like one that was reset.
 */
export class Labels {
  readonly #names = new Set<string>()
  readonly #cap: number

  constructor(cap: number) {
    this.#cap = cap
  }

  of(slug: string): string {
    if (this.#names.has(slug)) return slug
    if (this.#names.size >= this.#cap) return 'other'
    this.#names.add(slug)
    return slug
  }
}
