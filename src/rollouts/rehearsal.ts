import type { Transaction } from '../catalog/catalog.js'
import { databaseById } from '../catalog/databases.js'
import { addRehearsal } from '../catalog/rollouts.js'
import { Logins } from '../databases/logins.js'
import { type MigrationPlan, planMigrations } from '../databases/plan-migrations.js'
import {
  makeScratch,
  openScratch,
  type ScratchPlace,
  type ScratchSource,
  ScratchWork,
  scratchSteps
} from '../databases/scratch.js'
import type { DatabaseNames, MigrationFile, OwnerSession } from '../engines/engine.js'
import { asSaasctlError } from '../errors.js'
import type { Kind } from '../operations/kind.js'
import { mustFindRollout } from './find.js'
import { checkFiles, schemasOf } from './plan.js'

export interface RehearsalInput extends ScratchPlace {
  rolloutId: string
  server: string
  /** The database to clone: a template's, or a tenant's, which nobody can enter meanwhile. null is an empty one. */
  sourceId: string | null
  tenantId: string | null
  slug: string | null
  /** Where the clone is to begin and to end: names of migrations. */
  before: string | null
  after: string | null
}

class RehearsalWork extends ScratchWork<RehearsalInput> {
  files: Array<{ name: string; ms: number | null }> = []
}

/** Runs a rollout's files on a clone, of which nothing stays, whatever happens; how long each took is kept with the rollout. */
export const rolloutRehearse: Kind<RehearsalInput, RehearsalWork> = {
  name: 'rollout.rehearse',
  inputVersion: 1,
  exclusion: 'exclusive',
  pivot: 'try',
  open: async (tools, operation) => new RehearsalWork(operation, await openScratch(tools, operation.input)),
  steps: scratchSteps({ name: 'clone', act: clone, undo: release }, { name: 'try', act: tryOut, commit: keep }),
  result: ({ operation }) => ({ rolloutId: operation.input.rolloutId })
}

/** From the beginning, whatever an earlier try left. A tenant is shut for as long as the copy takes, and then opened. */
async function clone(work: RehearsalWork, progress: (sentence: string) => void): Promise<void> {
  const from = await sourceOf(work)
  try {
    if (from?.living) {
      progress(`nobody can enter ${work.operation.input.slug} for the time of the copy`)
      await work.session.sealDatabase(from.names)
    }
    await makeScratch(work, from)
  } catch (error) {
    const first = asSaasctlError(error)
    await release(work).catch(also => first.also.push(asSaasctlError(also).toJSON()))
    throw first
  }
  await release(work)
}

async function sourceOf(work: RehearsalWork): Promise<ScratchSource | undefined> {
  const { operation, tools, engine, access } = work
  const { sourceId, tenantId } = operation.input
  const names = await namesOfSource(work)
  if (sourceId === null || !names) return undefined
  const owner = await (await Logins.of(tools.catalog, tools.keys, sourceId)).credentials('owner')
  const { bytes } = await engine.state(access, names)
  return { names, owner, bytes, ...(tenantId !== null && { living: true as const }) }
}

/** A database that was taken over in place has a name of its own. */
async function namesOfSource({ operation, tools, engine }: RehearsalWork): Promise<DatabaseNames | undefined> {
  const { sourceId } = operation.input
  if (sourceId === null) return undefined
  const database = await databaseById(tools.catalog, sourceId)
  return database && { ...engine.names(sourceId), database: database.name }
}

/** Opens the tenant's database again: its logins are as they were, for nobody has touched them. */
async function release(work: RehearsalWork): Promise<void> {
  const names = work.operation.input.tenantId === null ? undefined : await namesOfSource(work)
  if (names) await work.session.unsealDatabase(names)
}

async function tryOut(work: RehearsalWork, progress: (sentence: string) => void): Promise<void> {
  const { session, names, engine, tools, operation, owner } = work
  const rollout = await mustFindRollout(tools.catalog, operation.input.rolloutId)
  const schemas = await schemasOf(tools, rollout.template)
  checkFiles(schemas, rollout.files, rollout.id)
  const files = schemas.get(engine.name)?.files ?? []
  await session.setPasswords(names, { owner: owner.password })
  const inside = await session.enterDatabase(names, owner)
  work.files = []
  try {
    if (rollout.direction === 'up') return await goUp(inside, files, work, progress)
    await goUp(inside, files, work, progress, operation.input.before)
    work.files = []
    for (const step of await downFrom(inside, files, operation.input.after))
      await timed(inside, 'down', step, work, progress)
  } finally {
    await inside.end()
  }
}

/** What is there already was run by a process that is gone, if it is not the clone's own: its time is lost. */
async function goUp(
  inside: OwnerSession,
  files: MigrationFile[],
  work: RehearsalWork,
  progress: (sentence: string) => void,
  to = work.operation.input.after
): Promise<void> {
  const applied = await inside.applied()
  const start = files.findIndex(({ name }) => name === work.operation.input.before) + 1
  const lost = new Set(files.slice(start).map(({ name }) => name))
  for (const { name } of applied) if (lost.has(name)) work.files.push({ name, ms: null })
  if (to === null) return
  for (const step of planMigrations(files, applied, new Map(), { direction: 'up', to })) {
    await timed(inside, 'up', step, work, progress)
  }
}

async function downFrom(inside: OwnerSession, files: MigrationFile[], to: string | null): Promise<MigrationPlan> {
  const applied = await inside.applied()
  if (to !== null) return planMigrations(files, applied, new Map(), { direction: 'down', to })
  return applied.toReversed().flatMap(({ name }) => {
    const file = files.find(candidate => candidate.name === name)
    return file ? [{ file, after: name }] : []
  })
}

async function timed(
  inside: OwnerSession,
  direction: 'up' | 'down',
  { file, after }: MigrationPlan[number],
  work: RehearsalWork,
  progress: (sentence: string) => void
): Promise<void> {
  progress(direction === 'up' ? `applies ${file.name}` : `undoes ${file.name}`)
  const from = performance.now()
  await inside.apply(file, direction, after)
  work.files.push({ name: file.name, ms: performance.now() - from })
}

async function keep(tx: Transaction, { operation, engine, files }: RehearsalWork): Promise<void> {
  const { rolloutId, server, slug } = operation.input
  await addRehearsal(tx, rolloutId, { operationId: operation.id, engine: engine.name, server, tenant: slug, files })
}
