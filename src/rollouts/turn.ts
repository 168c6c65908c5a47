import type { Json } from '../canonical.js'
import type { Actor } from '../catalog/audit.js'
import type { Transaction } from '../catalog/catalog.js'
import { type FleetTenant, tenantsElsewhere } from '../catalog/fleet.js'
import type { OperationRow } from '../catalog/operations.js'
import { openOperationOn } from '../catalog/operations.js'
import {
  insertTargets,
  lockRollout,
  markWave,
  openWave,
  setRolloutStatus,
  type WaveRow,
  waveLeft,
  wavesOf
} from '../catalog/rollouts.js'
import type { Selector } from '../catalog/tenants.js'
import { SaasctlError } from '../errors.js'
import type { Kind, KindHead, Tools, Work } from '../operations/kind.js'
import { startOperation } from '../operations/start.js'
import { brakeRollout } from './brakes.js'
import { mustFindRollout } from './find.js'
import { passGates } from './gates.js'
import type { LaneInput, Rollout } from './lane-work.js'
import { headsOf, schemasOf } from './plan.js'
import type { KeptFiles } from './schema.js'
import type { RolloutSettings } from './settings.js'

/** What the ledger needs to know of a lane; here, because a turn starts lanes and a lane starts turns. */
export const laneHead: KindHead = {
  name: 'rollout.lane',
  inputVersion: 1,
  exclusion: 'shared',
  steps: [{ name: 'migrate' }, { name: 'hand over' }]
}

interface TurnInput extends Record<string, Json> {
  rolloutId: string
  wave: number
}

interface TurnWork extends Work {
  tools: Tools
  operation: OperationRow<TurnInput>
  rollout: Rollout
  /** Of the whole fleet, who came since it was planned; looked for after the last wave. */
  newcomers: FleetTenant[]
}

/** From one wave to the next, after its soak: the gates, then the lanes of the next wave, or the end. */
export const rolloutTurn: Kind<TurnInput, TurnWork> = {
  name: 'rollout.turn',
  inputVersion: 1,
  exclusion: 'shared',
  open: async (tools, operation) => {
    const rollout = await mustFindRollout(tools.catalog, operation.input.rolloutId)
    return { tools, operation, rollout, newcomers: [] }
  },
  steps: [
    { name: 'gates', act: checkGates },
    { name: 'newcomers', act: findNewcomers },
    { name: 'next wave', commit: (tx, work) => nextWave(tx, work) }
  ],
  failed: async (tx, { input, error }) => {
    await brakeRollout(tx, input.rolloutId, error?.message ?? 'A gate did not open.')
  }
}

/** After the last wave there is nothing that a gate could keep back. */
async function checkGates(work: TurnWork, progress: (sentence: string) => void): Promise<void> {
  const { rollout, tools, operation } = work
  const waves = await wavesOf(tools.catalog, rollout.id)
  if (operation.input.wave >= waves.length - 1) return
  await passGates(tools, rollout, operation.input.wave, progress)
}

async function findNewcomers(work: TurnWork): Promise<void> {
  const { rollout, tools } = work
  const waves = await wavesOf(tools.catalog, rollout.id)
  if (!rollout.wholeFleet || work.operation.input.wave < waves.length - 1 || rollout.direction === 'down') return
  const heads = headsOf(await schemasOf(tools, rollout.template), rollout.target)
  work.newcomers = await tenantsElsewhere(tools.catalog, rollout.template, rollout.selector as Selector, heads)
}

async function nextWave(tx: Transaction, { rollout: seen, operation, newcomers }: TurnWork): Promise<void> {
  const { actor, input } = operation
  const rollout = await lockRollout<RolloutSettings, KeptFiles>(tx, seen.id)
  if (rollout?.status !== 'running' || rollout.wave !== input.wave) return
  await markWave(tx, rollout.id, input.wave, 'finished')
  const waves = await wavesOf(tx, rollout.id)
  if (input.wave < waves.length - 1) return beginWave(tx, actor, rollout, input.wave + 1)
  if ((await addNewcomers(tx, rollout, input.wave, newcomers)) > 0) return beginWave(tx, actor, rollout, input.wave)
  await finishRollout(tx, actor, rollout, waves)
}

/** Tenants that are targets already are not: they failed, and wait for somebody to look. */
async function addNewcomers(
  tx: Transaction,
  rollout: Rollout,
  wave: number,
  newcomers: FleetTenant[]
): Promise<number> {
  const known = await tx.query<{ id: string }>(
    'select tenant_id as id from saasctl.rollout_target where rollout_id = $1 and tenant_id = any($2)',
    [rollout.id, newcomers.map(({ tenantId }) => tenantId)]
  )
  const ids = new Set(known.map(({ id }) => id))
  const fresh = newcomers.filter(({ tenantId }) => !ids.has(tenantId))
  const targets = fresh.map(({ tenantId, databaseId, serverId, engine, migration }) => ({
    tenantId,
    databaseId,
    serverId,
    wave,
    before: migration,
    after: rollout.files[engine]?.at(-1)?.name ?? null
  }))
  await insertTargets(tx, rollout.id, targets)
  return targets.length
}

async function finishRollout(tx: Transaction, actor: Actor, rollout: Rollout, waves: WaveRow[]): Promise<void> {
  const failed = waves.reduce((sum, wave) => sum + wave.failed, 0)
  const status = failed > 0 ? 'failed' : 'succeeded'
  const reason = failed > 0 ? `${failed} ${failed === 1 ? 'tenant' : 'tenants'} failed; the others are done.` : null
  await setRolloutStatus(tx, rollout.id, status, reason)
  tx.audit({
    chain: 'rollout',
    action: 'rollout.finish',
    subject: `rollout:${rollout.id}`,
    payload: { status, failed }
  })
  if (status === 'succeeded' && rollout.wholeFleet && rollout.direction === 'up') {
    await startOperation(tx, {
      kind: headHead,
      input: { rolloutId: rollout.id, template: rollout.template },
      subject: `rollout:${rollout.id}`,
      actor,
      claim: null
    })
  }
}

/** What the ledger needs to know of the move of a template's head. */
export const headHead: KindHead = {
  name: 'rollout.head',
  inputVersion: 1,
  exclusion: 'shared',
  steps: [{ name: 'move head' }]
}

/** Starts a lane on every server that the wave has something left on. A wave with nothing left is over at once. */
export async function beginWave(tx: Transaction, actor: Actor, rollout: Rollout, wave: number): Promise<void> {
  await openWave(tx, rollout.id, wave)
  const servers = await waveLeft(tx, rollout.id, wave)
  if (servers.length === 0) return waveWorked(tx, actor, rollout.id, wave)
  const { perServer, total } = rollout.settings
  const concurrency = Math.max(1, Math.min(perServer, Math.floor(total / servers.length)))
  for (const { serverId } of servers) {
    const input: LaneInput = { rolloutId: rollout.id, serverId, wave, concurrency }
    const subject = `rollout:${rollout.id}/${serverId}`
    // A lane that was stopped and has not noticed goes on by itself: it looks for targets until it finds none.
    if (await openOperationOn(tx, laneHead.name, subject)) continue
    await startOperation(tx, { kind: laneHead, input, subject, actor, claim: null })
  }
}

/** Called by every lane as it ends; the last one of a wave promises the turn to the next, after the soak. */
export async function waveWorked(tx: Transaction, actor: Actor, rolloutId: string, wave: number): Promise<void> {
  const rollout = await lockRollout<RolloutSettings, KeptFiles>(tx, rolloutId)
  if (rollout?.status !== 'running' || rollout.wave !== wave) return
  if ((await waveLeft(tx, rolloutId, wave)).length > 0) return
  const subject = `rollout:${rolloutId}`
  if (await openOperationOn(tx, rolloutTurn.name, subject)) return
  await markWave(tx, rolloutId, wave, 'worked')
  const last = wave >= (await wavesOf(tx, rolloutId)).length - 1
  const delayMs = last ? 0 : rollout.settings.soakMs
  await startOperation(tx, { kind: rolloutTurn, input: { rolloutId, wave }, subject, actor, claim: null, delayMs })
}

export function notRunning(rollout: Rollout, verb: string): SaasctlError {
  return new SaasctlError('ROLLOUT_STATE', `Rollout ${rollout.id} is ${rollout.status} and cannot be ${verb}.`, {
    hint: `Look at it with "saasctl rollout show ${rollout.id}".`
  })
}
