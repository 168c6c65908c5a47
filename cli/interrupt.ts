import { requestCancel } from '../src/catalog/operations.js'
import type { Saasctl } from '../src/saasctl.js'
import type { Progress } from './progress.js'

/** Ctrl-C: the first asks the running operations to stop and to take back what they made, the second leaves at once. */
export class Interrupt {
  readonly #stop = new AbortController()
  readonly #seen = new Set<string>()
  readonly #saasctl: Saasctl
  readonly #progress: Progress
  #following = false
  #promise =
    'Stopping at the next step; what was made is taken back. Ctrl-C again leaves it to "saasctl operation resume".'

  constructor(saasctl: Saasctl, progress: Progress) {
    this.#saasctl = saasctl
    this.#progress = progress
    process.on('SIGINT', this.#onSignal)
  }

  get signal(): AbortSignal {
    return this.#stop.signal
  }

  /** From here on there is something to take back, or what `promise` says. */
  follow(promise = this.#promise): void {
    this.#following = true
    this.#promise = promise
  }

  /** An operation is at work here; one that was seen after Ctrl-C is asked to stop like the others. */
  saw(operation: string): void {
    this.#following = true
    if (this.#seen.has(operation)) return
    this.#seen.add(operation)
    if (this.signal.aborted) requestCancel(this.#saasctl.catalog, operation).catch(() => {})
  }

  hasSeen(operation: string): boolean {
    return this.#seen.has(operation)
  }

  end(): void {
    process.off('SIGINT', this.#onSignal)
  }

  readonly #onSignal = (): void => {
    if (!this.#following || this.signal.aborted) process.exit(130)
    this.#stop.abort()
    this.#cancelSeen().then(
      () => this.#progress.notice(this.#promise),
      (error: Error) => this.#progress.notice(`It could not be asked to stop: ${error.message}`)
    )
  }

  /** Said only when it is written down: who leaves at once then has still asked for it. */
  async #cancelSeen(): Promise<void> {
    await Promise.all([...this.#seen].map(operation => requestCancel(this.#saasctl.catalog, operation)))
  }
}
