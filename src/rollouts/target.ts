import type { Finished, HeldTarget } from '../catalog/rollout-lane.js'
import { type MigrationPlan, planMigrations, standing } from '../databases/plan-migrations.js'
import type { AppliedMigration, OwnerSession } from '../engines/engine.js'
import { asSaasctlError, SaasctlError } from '../errors.js'
import { nextDelay } from '../operations/retry.js'
import type { LaneWork } from './lane-work.js'

/**
 * What the schema's fingerprint became, by what it was and what was applied: the same files on the same schema give the same,
 * and taking one costs more than most migrations (9 ms a database against 5). Those that begin together wait for one of them.
 */
export type Fingerprints = Map<string, Promise<string>>

/** Migrates one target, whatever happens; gives what became of it. */
export async function workTarget(work: LaneWork, target: HeldTarget, fingerprints: Fingerprints): Promise<Finished> {
  const { tenantId, operationId, databaseId } = target
  const from = performance.now()
  const fileMs: Record<string, number> = {}
  const base = { tenantId, operationId, databaseId, delayMs: 0, error: null, schema: null, times: null }
  if (!['active', 'suspended'].includes(target.tenantStatus) || target.placedId === null) {
    return { ...base, status: 'skipped', error: gone(target).toJSON() }
  }
  const reached: Reached = { schema: null, fileMs }
  try {
    if (target.placedId !== databaseId) throw moved(target)
    await migrate(work, target, fingerprints, reached)
    return { ...base, status: 'done', schema: reached.schema, times: { workMs: performance.now() - from, fileMs } }
  } catch (thrown) {
    const error = asSaasctlError(thrown)
    if (error.code === 'FENCED') throw error
    const again = error.retryable && target.attempt < work.rollout.settings.tries
    return {
      ...base,
      status: again ? 'pending' : 'failed',
      delayMs: again ? 100 + nextDelay(target.attempt) : 0,
      error: error.toJSON(),
      schema: reached.schema
    }
  }
}

/** What the database is known to hold, as it goes; of a failure in the middle, what came before it. */
interface Reached {
  schema: Finished['schema']
  fileMs: Record<string, number>
}

async function migrate(
  work: LaneWork,
  target: HeldTarget,
  fingerprints: Fingerprints,
  reached: Reached
): Promise<void> {
  const { schema } = work
  const inside = await work.goIn(target)
  const bring = async (before: Array<{ name: string }>) => {
    await applyAll(work, target, inside, before, reached)
    if (reached.schema) {
      const { migrationsChecksum } = reached.schema
      reached.schema.fingerprint = await fingerprintOf(inside, target, migrationsChecksum, fingerprints)
    }
  }
  try {
    const position = schema.position(target.migrationsChecksum)
    if (position === undefined) return await bring(await inside.applied())
    // What the catalog knows is believed: each file is applied on top of a ledger that must end as the catalog says. It does
    // not where a lane was killed after more than one file and before it could write that down.
    try {
      await bring(schema.files.slice(0, position))
    } catch (error) {
      if (asSaasctlError(error).code !== 'MIGRATION_CHANGED') throw error
      await bring(await inside.applied())
    }
  } finally {
    await work.goOut(inside)
  }
}

async function applyAll(
  work: LaneWork,
  target: HeldTarget,
  inside: OwnerSession,
  before: Array<{ name: string }>,
  reached: Reached
): Promise<void> {
  const { direction } = work.rollout
  const names = before.map(({ name }) => name)
  for (const { file, after } of planTarget(work, target, before)) {
    const from = performance.now()
    await inside.apply(file, direction, after)
    reached.fileMs[file.name] = performance.now() - from
    if (direction === 'up') names.push(file.name)
    else names.splice(names.indexOf(file.name), 1)
    reached.schema = schemaOf(names, work)
  }
  reached.schema = schemaOf(names, work)
}

const schemaOf = (names: string[], { schema }: LaneWork) => ({
  ...standing(
    names.map(name => ({ name })),
    schema.files
  ),
  fingerprint: null as string | null
})

function planTarget(
  { schema, rollout }: LaneWork,
  { after }: HeldTarget,
  before: Array<{ name: string }>
): MigrationPlan {
  const applied: AppliedMigration[] = before.map(({ name }) => ({ name, at: new Date(0) }))
  if (rollout.direction === 'up')
    return planMigrations(schema.files, applied, new Map(), { direction: 'up', to: after })
  if (after !== null) return planMigrations(schema.files, applied, new Map(), { direction: 'down', to: after })
  return applied.toReversed().flatMap(({ name }) => {
    const file = schema.files[schema.indexOf(name)]
    return file ? [{ file, after: name }] : []
  })
}

async function fingerprintOf(
  inside: OwnerSession,
  target: HeldTarget,
  now: string,
  fingerprints: Fingerprints
): Promise<string> {
  if (target.fingerprint === null) return inside.fingerprint()
  const key = `${target.fingerprint}/${target.migrationsChecksum}/${now}`
  const first = fingerprints.get(key)
  // Whatever went wrong with another's session, this one may still be asked.
  if (first) return first.catch(() => inside.fingerprint())
  const taking = inside.fingerprint()
  fingerprints.set(key, taking)
  taking.catch(() => fingerprints.delete(key))
  return taking
}

const gone = ({ slug, tenantStatus }: HeldTarget) =>
  new SaasctlError('TENANT_STATE', `Tenant ${slug} is ${tenantStatus}; it was left as it is.`)

const moved = ({ slug }: HeldTarget) =>
  new SaasctlError('ROLLOUT_CHANGED', `Tenant ${slug} has another database than when the rollout was planned.`, {
    hint: 'Retry the rollout, or migrate it by itself with "saasctl tenant migrate".'
  })
