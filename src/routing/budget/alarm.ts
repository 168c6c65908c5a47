/** One timer for everything that is due one day. Asking for a later time than the one it is set to costs a comparison. */
export class Alarm {
  readonly #ring: () => void
  #timer: NodeJS.Timeout | undefined
  #due = Number.POSITIVE_INFINITY

  constructor(ring: () => void) {
    this.#ring = ring
  }

  /** Rings at this time of `performance.now()`, or earlier if it was asked to. `keep` holds the process until then. */
  at(time: number, keep: boolean): void {
    if (time < this.#due) {
      clearTimeout(this.#timer)
      this.#due = time
      this.#timer = setTimeout(this.#rang, Math.max(1, time - performance.now()))
      this.#timer.unref()
    }
    if (keep) this.#timer?.ref()
  }

  stop(): void {
    clearTimeout(this.#timer)
    this.#due = Number.POSITIVE_INFINITY
  }

  readonly #rang = () => {
    this.#due = Number.POSITIVE_INFINITY
    this.#ring()
  }
}
