const firstDelayMs = 200
const longestDelayMs = 60_000
/** Enough for a server that restarts (measured: 1.7 to 3.5 s) and a lock that is let go. */
const triesOnceBegun = 8
/** With nothing begun there is nothing to lose by failing, and somebody waits for the answer. */
const triesBeforeAnything = 3

/** Whether an error that may pass is worth another try. */
export function triesLeft(attempt: number, begun: boolean): boolean {
  return attempt + 1 < (begun ? triesOnceBegun : triesBeforeAnything)
}

/** Full jitter: anywhere up to the doubled bound, so that a thousand operations do not come back at once. */
export function nextDelay(attempt: number, random = Math.random): number {
  return Math.round(random() * Math.min(firstDelayMs * 2 ** attempt, longestDelayMs))
}
