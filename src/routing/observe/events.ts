import type { Refusal } from '../resolve/refusal.js'

/** Per reason and minute: an attacker must not be able to fill the audit trail. What is above is counted in the next one. */
const PER_MINUTE = 5
const MINUTE_MS = 60_000

export type WriteEvent = (action: string, payload: Record<string, string | number>) => Promise<void>

/** Writes refusals that no honest client meets to the catalog's audit trail, a few of each kind a minute. Never waits. */
export class SecurityEvents {
  readonly #write: WriteEvent
  readonly #onLost: (message: string) => void
  readonly #windows = new Map<string, { from: number; written: number; more: number }>()

  constructor(write: WriteEvent, onLost: (message: string) => void) {
    this.#write = write
    this.#onLost = onLost
  }

  note({ reason, source, detail }: Refusal, peer: string): void {
    const now = performance.now()
    const window = this.#windows.get(reason) ?? { from: now, written: 0, more: 0 }
    this.#windows.set(reason, window)
    if (now - window.from > MINUTE_MS) Object.assign(window, { from: now, written: 0 })
    if (window.written >= PER_MINUTE) {
      window.more += 1
      return
    }
    window.written += 1
    const payload = {
      source: source ?? 'several',
      detail: detail.slice(0, 500),
      peer: peer.slice(0, 64),
      more: window.more
    }
    window.more = 0
    this.#write(`router.refused.${reason}`, payload).catch((error: Error) => this.#onLost(error.message))
  }
}
