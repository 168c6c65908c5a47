import { type LaneRow, lanesOf, waveAge } from '../catalog/rollout-lanes.js'
import { listRollouts, type RolloutRow, type WaveRow, wavesOf } from '../catalog/rollouts.js'
import type { Context } from '../operations/kind.js'
import { mustFindRollout } from './find.js'

/** Where a rollout stands, in one line. */
export interface RolloutStatusLine {
  id: string
  template: string
  status: RolloutRow['status']
  /** `50% (2 of 3)`. */
  wave: string
  done: number
  failed: number
  /** Of the present wave, and of all. */
  leftInWave: number
  left: number
  /** Until the present wave is worked, at the pace that it has had so far; null when there is none yet. */
  etaSeconds: number | null
  reason: string | null
  lanes: LaneRow[]
}

/** Of the named rollout; without a name, of all that are under way, or of the newest when none is. */
export async function rolloutStatus(context: Context, id?: string): Promise<RolloutStatusLine[]> {
  const { catalog } = context
  if (id !== undefined) return [await lineOf(context, await mustFindRollout(catalog, id))]
  const newest = await listRollouts(catalog, { limit: 100 })
  const open = newest.filter(({ status }) => ['running', 'paused', 'braked'].includes(status))
  return Promise.all((open.length > 0 ? open : newest.slice(0, 1)).map(rollout => lineOf(context, rollout)))
}

async function lineOf({ catalog }: Context, rollout: RolloutRow): Promise<RolloutStatusLine> {
  const { id, template, status, reason } = rollout
  const [waves, lanes, age] = await Promise.all([
    wavesOf(catalog, id),
    lanesOf(catalog, id),
    waveAge(catalog, id, rollout.wave)
  ])
  const sum = (part: (wave: WaveRow) => number) => waves.reduce((total, wave) => total + part(wave), 0)
  const wave = waves[rollout.wave]
  return {
    id,
    template,
    status,
    wave: wave ? `${wave.name} (${rollout.wave + 1} of ${waves.length})` : '-',
    done: sum(({ done }) => done),
    failed: sum(({ failed }) => failed),
    leftInWave: wave ? leftOf(wave) : 0,
    left: sum(leftOf),
    etaSeconds: status === 'running' && wave ? etaSeconds(wave, age) : null,
    reason,
    lanes
  }
}

const leftOf = ({ pending, running }: WaveRow) => pending + running

function etaSeconds(wave: WaveRow, ageMs: number | null): number | null {
  const over = wave.done + wave.failed
  return over === 0 || ageMs === null ? null : Math.ceil((leftOf(wave) * ageMs) / over / 1000)
}
