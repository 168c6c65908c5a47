import { setTimeout as sleep } from 'node:timers/promises'

/** Whether something became true within half a minute; asked every 20 ms. */
export async function becomes(is: () => Promise<boolean>): Promise<boolean> {
  for (const until = performance.now() + 30_000; performance.now() < until; await sleep(20)) if (await is()) return true
  return false
}
