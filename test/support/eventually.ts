import { setTimeout as sleep } from 'node:timers/promises'

const PATIENCE_MS = 30_000

/** Asks again until the answer is right. Throws with the last one when that takes too long. */
export async function eventually<T>(ask: () => Promise<T>, right: (answer: T) => boolean): Promise<T> {
  const until = performance.now() + PATIENCE_MS
  for (;;) {
    const answer = await ask()
    if (right(answer)) return answer
    if (performance.now() > until) throw new Error(`It stayed ${JSON.stringify(answer)}.`)
    await sleep(20)
  }
}
