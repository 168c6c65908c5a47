import { fit } from './text.js'

const WINDOW_MS = 30_000

/** How fast something comes along, from what was seen of it in the last half minute. */
export class Pace {
  #seen: Array<{ at: number; over: number }> = []

  see(over: number, at = performance.now()): void {
    const last = this.#seen.at(-1)
    // Another wave, or targets that are taken once more: counted anew.
    if (last && over < last.over) this.#seen = []
    this.#seen.push({ at, over })
    const first = this.#seen.findIndex(one => at - one.at <= WINDOW_MS)
    this.#seen.splice(0, first)
  }

  /** Things a second; undefined until something came along. */
  get perSecond(): number | undefined {
    const [first, last] = [this.#seen[0], this.#seen.at(-1)]
    if (!first || !last || last.over === first.over || last.at === first.at) return undefined
    return ((last.over - first.over) * 1000) / (last.at - first.at)
  }

  /** Seconds until so many more came along. */
  eta(left: number): number | undefined {
    return this.perSecond === undefined ? undefined : Math.ceil(left / this.perSecond)
  }
}

export interface Bar {
  label: string
  over: number
  all: number
  failed: number
  etaSeconds: number | undefined
  /** Of the terminal. */
  columns: number
}

/** `wave 50% ━━━━━━╸────── 1,234 of 5,000, 3 failed, 2 min left`; the bar takes what room is left. */
export function bar({ label, over, all, failed, etaSeconds, columns }: Bar): string {
  const count = (n: number) => n.toLocaleString('en-US')
  const words = [
    `${count(over)} of ${count(all)}`,
    ...(failed > 0 ? [`${count(failed)} failed`] : []),
    ...(over < all && etaSeconds !== undefined ? [`${span(etaSeconds)} left`] : [])
  ].join(', ')
  const room = Math.min(40, columns - label.length - words.length - 3)
  if (room < 5) return fit(`${label} ${words}`, columns - 1)
  const full = all === 0 ? room : Math.floor((over * room) / all)
  return `${label} ${'━'.repeat(full)}${'─'.repeat(room - full)} ${words}`
}

/** `43 s`, `12 min`, `3 h 5 min`. */
export function span(seconds: number): string {
  if (seconds < 100) return `${seconds} s`
  const minutes = Math.round(seconds / 60)
  return minutes < 100 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}
