import type { Transaction } from '../catalog/catalog.js'
import { lockRollout, setRolloutStatus } from '../catalog/rollouts.js'
import type { Brakes } from './settings.js'

/** A share of fewer targets than this says nothing. */
const ENOUGH = 10

/** Why the rollout must stop, as a sentence; undefined while it may go on. */
export function brakeReason(
  { failures, percent, consecutive }: Brakes,
  so: { failed: number; over: number; consecutive: number }
): string | undefined {
  if (failures !== null && so.failed >= failures)
    return `${so.failed} tenants have failed; the brake is at ${failures}.`
  if (consecutive !== null && so.consecutive >= consecutive) {
    return `${so.consecutive} tenants have failed in a row; the brake is at ${consecutive}.`
  }
  if (percent !== null && so.over >= ENOUGH && (so.failed * 100) / so.over >= percent) {
    return `${so.failed} of ${so.over} tenants have failed; the brake is at ${percent} %.`
  }
  return undefined
}

/** Stops a rollout that runs, for whoever follows to see why. */
export async function brakeRollout(tx: Transaction, id: string, reason: string): Promise<void> {
  if ((await lockRollout(tx, id))?.status !== 'running') return
  await setRolloutStatus(tx, id, 'braked', reason)
  tx.audit({ chain: 'rollout', action: 'rollout.brake', subject: `rollout:${id}`, payload: { reason } })
}
