import { setTimeout as sleep } from 'node:timers/promises'
import { type OperationRow, open as openOperations, operationColumns } from '../catalog/operations.js'
import { SaasctlError } from '../errors.js'
import type { Context } from '../operations/kind.js'
import type { Follow } from '../operations/operations.js'
import { operationsOfRollout, pauseRollout, type RolloutView, showRollout } from './control.js'

export interface FollowRollout extends Pick<Follow, 'timeoutMs' | 'signal'> {
  /** Called when something moved. */
  onMoved?(view: RolloutView): void
}

/**
 * Follows a rollout until it stops for whatever reason. With no worker alive its lanes are worked here; whoever goes away
 * then pauses it. STILL_RUNNING at the timeout.
 */
export async function followRollout(context: Context, id: string, follow: FollowRollout): Promise<RolloutView> {
  const until = follow.timeoutMs === undefined ? Number.POSITIVE_INFINITY : performance.now() + follow.timeoutMs
  let before = ''
  for (;;) {
    const view = await showRollout(context, id)
    const now = JSON.stringify([view.rollout.status, view.waves])
    if (now !== before) follow.onMoved?.(view)
    before = now
    if (view.rollout.status !== 'running') return finishHere(context, view)
    if (performance.now() > until) throw stillRunning(id)
    const here = !(await context.operations.haveWorker())
    if (follow.signal?.aborted) {
      if (!here) throw stillRunning(id)
      await pauseRollout(context, id)
    } else if (here) await workHere(context, id)
    else await sleep(200)
  }
}

/** Some of its lanes, as far as they are due. Each looks by itself whether the rollout was stopped meanwhile. */
async function workHere(context: Context, id: string): Promise<void> {
  const open = await operationsOfRollout(context.catalog, id)
  const working = open.map(operation => context.operations.wake(operation.id))
  // Not all of them: who follows must see what moves, and the others go on meanwhile.
  await Promise.race([Promise.all(working), sleep(500)])
  void Promise.all(working).catch(() => {})
  if (open.length === 0) await sleep(100)
}

/** The template's new version is built by whoever is there; without a worker, that is us. */
async function finishHere(context: Context, view: RolloutView): Promise<RolloutView> {
  if (await context.operations.haveWorker()) return view
  for (const operation of await operationsOfRollout(context.catalog, view.rollout.id)) {
    await context.operations.follow(operation)
  }
  const builds = await context.catalog.query<OperationRow>(
    `select ${operationColumns} from saasctl.operation o
     where o.kind = 'template.build' and o.input->>'template' = $1 and o.status in ${openOperations} order by o.id`,
    [view.rollout.template]
  )
  if (view.rollout.status === 'succeeded') for (const build of builds) await context.operations.follow(build)
  return showRollout(context, view.rollout.id)
}

function stillRunning(id: string): SaasctlError {
  return new SaasctlError('STILL_RUNNING', `Rollout ${id} goes on.`, {
    hint: `Come back to it with "saasctl rollout watch ${id}".`
  })
}
