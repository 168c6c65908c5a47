import { setTimeout as sleep } from 'node:timers/promises'
import { type OperationRow, open as openOperations, operationColumns } from '../catalog/operations.js'
import { asSaasctlError, SaasctlError } from '../errors.js'
import type { Context } from '../operations/kind.js'
import type { Follow } from '../operations/operations.js'
import { operationsOfRollout, pauseRollout, type RolloutView, showRollout } from './control.js'

export interface FollowRollout extends Pick<Follow, 'timeoutMs' | 'signal'> {
  /** Called when something moved. */
  onMoved?(view: RolloutView): void
  /** Called when the catalog does not answer, which is asked again for a minute, and when the template cannot follow now. */
  onTrouble?(error: SaasctlError): void
}

const LOOK_MS = 200
const AWAY_MS = 60_000

/**
 * Follows a rollout until it stops for whatever reason. With no worker alive its lanes are worked here, and whoever goes
 * away then pauses it; otherwise it goes on without us. STILL_RUNNING at the timeout and at the signal.
 */
export async function followRollout(context: Context, id: string, follow: FollowRollout): Promise<RolloutView> {
  const until = follow.timeoutMs === undefined ? Number.POSITIVE_INFINITY : performance.now() + follow.timeoutMs
  const hands = new Hands(context)
  let before = ''
  let awaySince: number | undefined
  for (;;) {
    try {
      const view = await showRollout(context, id)
      awaySince = undefined
      const now = JSON.stringify([view.rollout.status, view.waves, view.lanes.map(({ error }) => error)])
      if (now !== before) follow.onMoved?.(view)
      before = now
      if (view.rollout.status !== 'running') return await finishHere(context, view, hands, follow)
      const working = !(await context.operations.haveWorker())
      if (follow.signal?.aborted || performance.now() > until) {
        if (!working) throw stillRunning(id)
        await pauseRollout(context, id)
      } else if (working) await hands.work(id)
    } catch (thrown) {
      const error = asSaasctlError(thrown)
      awaySince ??= performance.now()
      if (error.code !== 'CATALOG_UNREACHABLE' || performance.now() - awaySince > AWAY_MS) throw comeBack(error, id)
      follow.onTrouble?.(error)
    }
    await hands.pause(LOOK_MS)
  }
}

/** Works what is due of a rollout in this process. Each lane looks by itself whether the rollout was stopped meanwhile. */
class Hands {
  readonly #context: Context
  readonly #working = new Map<string, Promise<unknown>>()

  constructor(context: Context) {
    this.#context = context
  }

  async work(id: string): Promise<void> {
    for (const { id: operation } of await operationsOfRollout(this.#context.catalog, id)) {
      if (this.#working.has(operation)) continue
      // What went wrong is in the ledger, or another process has it now: the next look tells.
      const woken = this.#context.operations.wake(operation).catch(() => {})
      this.#working.set(
        operation,
        woken.finally(() => this.#working.delete(operation))
      )
    }
  }

  /** Until everything that is worked here has ended. */
  async idle(): Promise<void> {
    await Promise.all(this.#working.values())
  }

  /** Until something that is worked here ends, at most so long. */
  async pause(ms: number): Promise<void> {
    await Promise.race([...this.#working.values(), sleep(ms)])
  }
}

/** The template's new version is built, and the old one dropped, by whoever is there; without a worker, that is us. */
async function finishHere(
  context: Context,
  view: RolloutView,
  hands: Hands,
  { onTrouble }: FollowRollout
): Promise<RolloutView> {
  await hands.idle()
  if (await context.operations.haveWorker()) return view
  const { id, template, status } = view.rollout
  if (status === 'succeeded') {
    // The tenants are done whatever becomes of these: a server without the template gets it with its next new tenant.
    for (const open of [() => operationsOfRollout(context.catalog, id), openBuilds, openDrops]) {
      for (const operation of await open(context, template)) {
        await context.operations.follow(operation).catch(thrown => onTrouble?.(asSaasctlError(thrown)))
      }
    }
  }
  return showRollout(context, id)
}

function openBuilds({ catalog }: Context, template: string): Promise<OperationRow[]> {
  return catalog.query<OperationRow>(
    `select ${operationColumns} from saasctl.operation o
     where o.kind = 'template.build' and o.input->>'template' = $1 and o.status in ${openOperations} order by o.id`,
    [template]
  )
}

/** Of databases that the template had before. */
function openDrops({ catalog }: Context, template: string): Promise<OperationRow[]> {
  return catalog.query<OperationRow>(
    `select ${operationColumns} from saasctl.operation o
     join saasctl.database d on d.id = (o.input->>'databaseId')::uuid and d.kind = 'template'
     join saasctl.template t on t.id = d.template_id
     where o.kind = 'database.drop' and t.name = $1 and o.status in ${openOperations} order by o.id`,
    [template]
  )
}

function stillRunning(id: string): SaasctlError {
  return new SaasctlError('STILL_RUNNING', `Rollout ${id} goes on.`, {
    hint: `Come back to it with "saasctl rollout watch ${id}".`
  })
}

/** A catalog that went away takes nothing with it. */
function comeBack(error: SaasctlError, id: string): SaasctlError {
  if (error.code !== 'CATALOG_UNREACHABLE') return error
  return new SaasctlError(error.code, `${error.message} Rollout ${id} stands where it stood.`, {
    hint: `When the catalog is back, "saasctl rollout watch ${id}" goes on with it.`,
    retryable: true,
    cause: error
  })
}
