import type { Queryable, Transaction } from '../catalog/catalog.js'
import { type Head, tenantsElsewhere } from '../catalog/fleet.js'
import { type OperationRow, open as openOperations, operationColumns } from '../catalog/operations.js'
import { forgetTurn, type LaneRow, lanesOf } from '../catalog/rollout-lanes.js'
import { overlapOf } from '../catalog/rollout-overlap.js'
import {
  insertRollout,
  lockRollout,
  retryFailed,
  setRolloutStatus,
  skipPending,
  targetsOf,
  wavesOf
} from '../catalog/rollouts.js'
import type { Selector } from '../catalog/tenants.js'
import { SaasctlError } from '../errors.js'
import { uuidv7 } from '../names.js'
import type { Context } from '../operations/kind.js'
import { checkContracts } from './contracts.js'
import { mustFindRollout } from './find.js'
import { checkFindings, type RolloutFinding } from './findings.js'
import type { Rollout } from './lane-work.js'
import { checkFiles, headsOf, schemasOf } from './plan.js'
import type { KeptFiles } from './schema.js'
import { cutWaves, type RolloutSettings } from './settings.js'
import { beginWave, notRunning } from './turn.js'

/**
 * Starts exactly what was planned. ROLLOUT_CHANGED when files or fleet are not what they were; ROLLOUT_REFUSED for an error of
 * the lint that neither the plan nor `allow` names, and for a contract that something stands against by now; ROLLOUT_BUSY
 * names a tenant that is in another rollout, too.
 */
export async function startRollout(
  context: Context,
  id: string,
  { allow = [] }: { allow?: string[] } = {}
): Promise<Rollout> {
  const planned = await mustFindRollout(context.catalog, id)
  if (planned.status !== 'planned') throw notRunning(planned, 'started')
  const schemas = await schemasOf(context, planned.template)
  checkFiles(schemas, planned.files, id)
  checkFindings(planned.findings as unknown as RolloutFinding[], allow, id)
  if (planned.direction === 'up') {
    const wish = { to: planned.target, allow: [...planned.settings.allow, ...allow] }
    const selector = planned.selector as Selector
    const heads = headsOf(schemas, planned.target)
    await checkContracts(
      context,
      wish,
      schemas,
      await tenantsElsewhere(context.catalog, planned.template, selector, heads)
    )
  }
  return change(context, id, 'start', async (tx, rollout) => {
    if (rollout.status !== 'planned') throw notRunning(rollout, 'started')
    await checkOverlap(tx, id)
    if (rollout.undoes === null) await checkFleet(tx, rollout, headsOf(schemas, rollout.target))
    await setRolloutStatus(tx, id, 'running')
    await beginWave(tx, context.actor, rollout, 0)
  })
}

/** Lanes end after what they have begun; nothing is undone. */
export async function pauseRollout(context: Context, id: string): Promise<Rollout> {
  return change(context, id, 'pause', async (tx, rollout) => {
    if (rollout.status !== 'running') throw notRunning(rollout, 'paused')
    await setRolloutStatus(tx, id, 'paused', `Paused by ${context.actor.name}.`)
  })
}

/**
 * Goes on where it stood; a brake starts to count anew, and a gate is asked again. ROLLOUT_CHANGED when the files are not what
 * they were.
 */
export async function resumeRollout(context: Context, id: string): Promise<Rollout> {
  const stopped = await mustFindRollout(context.catalog, id)
  if (stopped.status === 'paused' || stopped.status === 'braked') {
    checkFiles(await schemasOf(context, stopped.template), stopped.files, id)
  }
  return change(context, id, 'resume', async (tx, rollout) => {
    if (rollout.status !== 'paused' && rollout.status !== 'braked') throw notRunning(rollout, 'resumed')
    await setRolloutStatus(tx, id, 'running')
    await beginWave(tx, context.actor, rollout, rollout.wave)
  })
}

/** Ends it: what is done stays, what has not begun is left alone. */
export async function abortRollout(context: Context, id: string): Promise<Rollout> {
  return change(context, id, 'abort', async (tx, rollout) => {
    if (!['planned', 'running', 'paused', 'braked'].includes(rollout.status)) throw notRunning(rollout, 'aborted')
    await setRolloutStatus(tx, id, 'aborted', `Aborted by ${context.actor.name}.`)
    await skipPending(tx, id)
    await forgetTurn(tx, id)
  })
}

const retryable = ['failed', 'braked', 'paused']

/** Takes only the targets that failed, once more. */
export async function retryRollout(context: Context, id: string): Promise<Rollout> {
  const planned = await mustFindRollout(context.catalog, id)
  if (!retryable.includes(planned.status)) throw notRunning(planned, 'retried')
  checkFiles(await schemasOf(context, planned.template), planned.files, id)
  return change(context, id, 'retry', async (tx, rollout) => {
    if (!retryable.includes(rollout.status)) throw notRunning(rollout, 'retried')
    await checkOverlap(tx, id)
    if ((await retryFailed(tx, id, rollout.wave)) === 0) {
      throw new SaasctlError('ROLLOUT_STATE', `Rollout ${id} has no target that failed.`, {
        hint: rollout.status === 'failed' ? 'It is over.' : `Go on with "saasctl rollout resume ${id}".`
      })
    }
    await setRolloutStatus(tx, id, 'running')
    await beginWave(tx, context.actor, rollout, rollout.wave)
  })
}

/** Plans another rollout that takes back exactly what this one has done, tenant by tenant, to where each stood before. */
export async function planUndo(context: Context, id: string, settings: RolloutSettings): Promise<Rollout> {
  const { catalog } = context
  const undone = await mustFindRollout(catalog, id)
  if (undone.direction === 'down' || undone.status === 'planned' || undone.status === 'running') {
    throw notRunning(undone, 'undone')
  }
  checkFiles(await schemasOf(context, undone.template), undone.files, id)
  const done = await catalog.query<{
    tenantId: string
    databaseId: string
    serverId: string
    before: string | null
    after: string | null
  }>(
    `select tenant_id as "tenantId", database_id as "databaseId", server_id as "serverId", after as before, before as after
     from saasctl.rollout_target where rollout_id = $1 and status = 'done' order by tenant_id`,
    [id]
  )
  if (done.length === 0) {
    throw new SaasctlError('ROLLOUT_STATE', `Rollout ${id} has migrated no tenant; there is nothing to undo.`)
  }
  const waves = cutWaves(settings, done.length)
  const waveOf = waves.flatMap(({ size }, position) => Array.from({ length: size }, () => position))
  const undo = uuidv7()
  await catalog.transaction(context.actor, async tx => {
    await insertRollout(tx, {
      id: undo,
      template: undone.template,
      direction: 'down',
      target: null,
      undoes: id,
      selector: undone.selector,
      wholeFleet: false,
      settings,
      files: undone.files,
      findings: [],
      actor: context.actor,
      waves: waves.map(wave => wave.name),
      targets: done.map((target, index) => ({ ...target, wave: waveOf[index] ?? 0 }))
    })
    tx.audit({
      chain: 'rollout',
      action: 'rollout.plan',
      subject: `rollout:${undo}`,
      payload: { undoes: id, targets: done.length }
    })
  })
  return mustFindRollout(catalog, undo)
}

async function change(
  context: Context,
  id: string,
  verb: string,
  work: (tx: Transaction, rollout: Rollout) => Promise<void>
): Promise<Rollout> {
  await mustFindRollout(context.catalog, id)
  await context.catalog.transaction(context.actor, async tx => {
    const rollout = await lockRollout<RolloutSettings, KeptFiles>(tx, id)
    if (!rollout) return
    tx.audit({
      chain: 'rollout',
      action: `rollout.${verb}`,
      subject: `rollout:${id}`,
      payload: { status: rollout.status }
    })
    await work(tx, rollout)
  })
  return mustFindRollout(context.catalog, id)
}

/** Who is to be migrated now, against who was when it was planned. */
async function checkFleet(tx: Queryable, rollout: Rollout, heads: Head[]): Promise<void> {
  const now = await tenantsElsewhere(tx, rollout.template, rollout.selector as Selector, heads)
  const placed = new Map(now.map(tenant => [tenant.tenantId, `${tenant.databaseId}/${tenant.migration}`]))
  const planned = await tx.query<{ tenantId: string; slug: string; databaseId: string; before: string | null }>(
    `select t.tenant_id as "tenantId", n.slug, t.database_id as "databaseId", t.before
     from saasctl.rollout_target t join saasctl.tenant n on n.id = t.tenant_id where t.rollout_id = $1`,
    [rollout.id]
  )
  const changed = planned.find(target => placed.get(target.tenantId) !== `${target.databaseId}/${target.before}`)
  const known = new Set(planned.map(({ tenantId }) => tenantId))
  const fresh = rollout.direction === 'up' ? now.find(({ tenantId }) => !known.has(tenantId)) : undefined
  if (!changed && !fresh) return
  const sentence = changed ? `Tenant ${changed.slug} is not where it was.` : `Tenant ${fresh?.slug} was not there.`
  throw new SaasctlError(
    'ROLLOUT_CHANGED',
    `The fleet has changed since rollout ${rollout.id} was planned. ${sentence}`,
    {
      hint: 'Plan it again: what is stored is not what would run.'
    }
  )
}

/** Two rollouts of one tenant would each see what the other has done as a change that nobody planned. */
async function checkOverlap(tx: Queryable, id: string): Promise<void> {
  const overlap = await overlapOf(tx, id)
  if (!overlap) return
  const { rolloutId, slug, tenants } = overlap
  const others = tenants > 1 ? ` and ${tenants - 1} more tenants are` : ' is'
  throw new SaasctlError('ROLLOUT_BUSY', `Tenant ${slug}${others} in rollout ${rolloutId}, which is under way.`, {
    hint: `Wait for it with "saasctl rollout watch ${rolloutId}", abort it, or leave its tenants out.`,
    data: { rollout: rolloutId }
  })
}

export interface RolloutView {
  rollout: Rollout
  waves: Awaited<ReturnType<typeof wavesOf>>
  failures: Awaited<ReturnType<typeof targetsOf>>
  /** What works it now, or is to be tried again. */
  lanes: LaneRow[]
}

/** The rollout with its waves and what failed. */
export async function showRollout(context: Context, id: string): Promise<RolloutView> {
  const rollout = await mustFindRollout(context.catalog, id)
  const [waves, failures, lanes] = await Promise.all([
    wavesOf(context.catalog, id),
    targetsOf(context.catalog, id, { statuses: ['failed'], limit: 10_000 }),
    lanesOf(context.catalog, id)
  ])
  return { rollout, waves, failures, lanes }
}

/** The operations that work the rollout now. */
export function operationsOfRollout(q: Queryable, id: string): Promise<OperationRow[]> {
  return q.query<OperationRow>(
    `select ${operationColumns} from saasctl.operation o
     where (o.subject = 'rollout:' || $1::text or o.subject like 'rollout:' || $1::text || '/%') and o.tenant_id is null
       and o.status in ${openOperations} order by o.id`,
    [id]
  )
}
