import { kinds } from '../../src/kinds.js'
import type { Kind } from '../../src/operations/kind.js'

/** A place where a process is killed, and how its operation must end although it was. */
export interface KillPoint {
  kind: string
  step: string
  moment: 'begun' | 'acted' | 'done' | 'undoing' | 'undone'
  failpoint: string
  ends: 'succeeded' | 'failed'
}

/**
 * Every place where a process that works this kind can be killed between two of its writes, read from the steps that the
 * program itself runs: a step that is added tomorrow is killed at tomorrow.
 */
export async function killPoints(name: string): Promise<KillPoint[]> {
  const kind = await kinds.load(name)
  return [...forward(kind), ...backward(kind)]
}

function forward({ name: kind, steps }: Kind): KillPoint[] {
  return steps.flatMap(({ name: step, act }) =>
    ((act ? ['begun', 'acted', 'done'] : ['done']) as KillPoint['moment'][]).map(moment => {
      return { kind, step, moment, failpoint: `${kind}/${step}:${moment}`, ends: 'succeeded' as const }
    })
  )
}

/** The last act that can still be taken back fails for good, and the process is killed on the way back. */
function backward({ name: kind, steps, pivot }: Kind): KillPoint[] {
  const end = pivot === undefined ? steps.length : steps.findIndex(({ name }) => name === pivot) + 1
  const failing = steps.slice(0, end).findLastIndex(({ act }) => act)
  const failed = steps[failing]
  if (!failed) return []
  return steps.slice(0, failing + 1).flatMap(({ name: step, undo }) =>
    ((undo ? ['undoing', 'undone'] : ['undone']) as KillPoint['moment'][]).map(moment => {
      const failpoint = `${kind}/${failed.name}:acted=fail,${kind}/${step}:${moment}`
      return { kind, step, moment, failpoint, ends: 'failed' as const }
    })
  )
}
