import { setTimeout as sleep } from 'node:timers/promises'

/** Whether something became true within ten seconds; asked every 20 ms. */
export async function becomes(is: () => Promise<boolean>): Promise<boolean> {
  for (let tries = 0; tries < 500; tries += 1) {
    if (await is()) return true
    await sleep(20)
  }
  return false
}
