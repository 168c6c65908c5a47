/**
 * What was opened is closed newest first. Push the closer on the line after the open.
 * The first error is the news: it is thrown after every closer has run, the others stand beside it.
 */
export class Closers {
  #stack: Array<() => unknown> = []
  #closing: Promise<void> | undefined

  push(close: () => unknown): void {
    this.#stack.push(close)
  }

  /** Runs every closer once, also when called a second time. */
  close(): Promise<void> {
    this.#closing ??= this.#run()
    return this.#closing
  }

  async #run(): Promise<void> {
    const errors: unknown[] = []
    for (let close = this.#stack.pop(); close; close = this.#stack.pop()) {
      try {
        await close()
      } catch (error) {
        errors.push(error)
      }
    }
    const [first, ...others] = errors
    if (others.length > 0) throw new AggregateError(errors, first instanceof Error ? first.message : String(first))
    if (errors.length > 0) throw first
  }
}
