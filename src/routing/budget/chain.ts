/** A value's place in a chain. Made once per value and moved about, so that lending a connection allocates nothing. */
export class Link<T> {
  readonly value: T
  chain: Chain<T> | undefined
  before: Link<T> | undefined
  after: Link<T> | undefined

  constructor(value: T) {
    this.value = value
  }
}

/** A list in order of arrival. Appending, removing and looking at either end cost the same at any length. */
export class Chain<T> {
  size = 0
  first: Link<T> | undefined
  last: Link<T> | undefined

  /** Puts the link at the end, from wherever it is. */
  append(link: Link<T>): void {
    link.chain?.remove(link)
    link.chain = this
    link.before = this.last
    if (this.last) this.last.after = link
    else this.first = link
    this.last = link
    this.size += 1
  }

  /** Puts the link at the start, from wherever it is. */
  prepend(link: Link<T>): void {
    link.chain?.remove(link)
    link.chain = this
    link.after = this.first
    if (this.first) this.first.before = link
    else this.last = link
    this.first = link
    this.size += 1
  }

  /** A link that is not in this chain stays where it is. */
  remove(link: Link<T>): void {
    if (link.chain !== this) return
    if (link.before) link.before.after = link.after
    else this.first = link.after
    if (link.after) link.after.before = link.before
    else this.last = link.before
    link.chain = link.before = link.after = undefined
    this.size -= 1
  }

  /** Values that are there when the walk begins; each may be removed during it. */
  values(): T[] {
    const values: T[] = []
    for (let link = this.first; link; link = link.after) values.push(link.value)
    return values
  }
}
