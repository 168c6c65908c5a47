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

/**
 * A share of the points of several kinds, another one each day, so that all of them have had their turn after as many days as
 * the share says: a suite that kills a process at each of 800 takes half an hour. A step that several kinds have in common is
 * killed in the first of them. `npm run soak -- --only points` takes all, and so does KILL_ALL=1.
 */
export async function pointsOfToday(names: readonly string[], share: number): Promise<Map<string, KillPoint[]>> {
  const all = process.env['KILL_ALL'] === '1'
  const today = Math.floor(Date.now() / 86_400_000) % share
  const seen = new Set<unknown>()
  const picked = new Map<string, KillPoint[]>()
  let index = 0
  for (const name of names) {
    const { steps } = await kinds.load(name)
    const common = steps.filter(step => seen.has(step)).map(step => step.name)
    const points = (await killPoints(name)).filter(({ step }) => !common.includes(step))
    const mine = points.filter(() => index++ % share === today)
    picked.set(name, all ? await killPoints(name) : mine)
    for (const step of steps) seen.add(step)
  }
  return picked
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
