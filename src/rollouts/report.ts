import type { Queryable } from '../catalog/catalog.js'
import { type TargetRow, targetsOf, type WaveRow } from '../catalog/rollouts.js'
import type { RolloutView } from './control.js'

/** A tenant that a rollout could not migrate: it is left alone until somebody retries. */
export interface FailedTenant extends TargetRow {
  code: string
  reason: string
  /** What to do, as sentences. */
  next: string
}

export interface RolloutReport extends Omit<RolloutView['rollout'], 'wave'> {
  waves: WaveRow[]
  totals: Record<'done' | 'failed' | 'skipped' | 'left', number>
  failures: FailedTenant[]
}

/** What became of a rollout, for programs: every failed tenant with the reason and the next action. */
export function reportOf({ rollout, waves, failures }: RolloutView): RolloutReport {
  const { wave: _present, ...rest } = rollout
  const sum = (part: (wave: WaveRow) => number) => waves.reduce((total, wave) => total + part(wave), 0)
  return {
    ...rest,
    waves,
    totals: {
      done: sum(({ done }) => done),
      failed: sum(({ failed }) => failed),
      skipped: sum(({ skipped }) => skipped),
      left: sum(({ pending, running }) => pending + running)
    },
    failures: failures.map(target => failedTenant(target, rollout.id))
  }
}

export function failedTenant(target: TargetRow, rolloutId: string): FailedTenant {
  const { code = 'FAILED', message = 'It failed without a word.', hint } = target.error ?? {}
  const retry = `Then "saasctl rollout retry ${rolloutId}" takes it once more.`
  return { ...target, code, reason: message, next: `${hint ?? `Look into tenant ${target.slug}.`} ${retry}` }
}

const PAGE = 1_000

/** Every target in the order of slugs, read in pages. */
export async function* eachTarget(q: Queryable, rolloutId: string): AsyncGenerator<TargetRow> {
  for (let after: string | undefined; ; ) {
    const page = await targetsOf(q, rolloutId, { limit: PAGE, ...(after !== undefined && { after }) })
    yield* page
    after = page.at(-1)?.slug
    if (page.length < PAGE) return
  }
}
