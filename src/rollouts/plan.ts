import { countTenants, type FleetTenant, type Head, tenantsElsewhere } from '../catalog/fleet.js'
import { usualTimes } from '../catalog/rollout-times.js'
import { insertRollout } from '../catalog/rollouts.js'
import { knownChecksums } from '../catalog/templates.js'
import type { Selector } from '../catalog/tenants.js'
import type { EngineName } from '../engines/engine.js'
import { SaasctlError } from '../errors.js'
import { uuidv7 } from '../names.js'
import type { Context } from '../operations/kind.js'
import { readTemplate } from '../templates/register.js'
import { checkContracts } from './contracts.js'
import { estimate } from './estimate.js'
import { lintFiles, type RolloutFinding } from './findings.js'
import { changedFile, EngineSchema, type KeptFiles, keptFiles, type Schemas } from './schema.js'
import { checkWaves, cutWaves, type RolloutSettings, type Wave } from './settings.js'
import { type Largest, largestOf, measure, nameTheHit } from './sizes.js'
import { assignWaves } from './targets.js'
import { type Verified, verifyFleet } from './verify.js'

export interface RolloutWish {
  template: string
  selector: Selector
  /** Every tenant of the template: at its end the template moves, too. */
  wholeFleet: boolean
  direction: 'up' | 'down'
  /** The last migration to apply, or to keep; null is the newest file. */
  to: string | null
  settings: RolloutSettings
  /** Codes of findings that do not stop it. */
  allow: string[]
  /** Looks into every database, instead of believing what the catalog says of it. */
  verify?: boolean
}

/** What a rollout would do, before anything runs. */
export interface RolloutPlan {
  /** Absent when there is nothing to do: then nothing was stored. */
  id: string | undefined
  template: string
  targets: number
  /** When a selection has nothing to do: how many tenants it fits. A misspelt label fits none. */
  selected?: number
  /** Slugs, in the order in which they come: the waves cut it. */
  tenants: string[]
  waves: Wave[]
  /** Names of the files that some target lacks, or that are taken back, in their order, per engine. */
  migrations: Record<string, string[]>
  /** The largest database among the targets, per engine. */
  largest: Largest[]
  /** Each says whom its statement would hit hardest. An error stops the start, unless its code is allowed. */
  findings: RolloutFinding[]
  /** From what these files and others took before, in a canary, an earlier rollout or a dry run; null when nothing did. */
  estimateMs: number | null
  /** What was found in the databases, when that was asked for. */
  verified?: Verified
}

/**
 * Finds out what the rollout would do and keeps it: a start runs exactly this, or refuses. When every tenant stands where it
 * should, that is one query and nothing is kept. MIGRATION_CHANGED for an applied file that was edited, ROLLOUT_REFUSED for a
 * contract that something still stands against.
 */
export async function planRollout(context: Context, wish: RolloutWish): Promise<RolloutPlan> {
  const { catalog } = context
  checkWaves(wish.settings)
  const reading = schemasOf(context, wish.template)
  const verified = wish.verify ? await verifyFleet(context, wish, reading) : undefined
  const schemas = await reading
  const heads = headsOf(schemas, wish.to)
  const found = await tenantsElsewhere(catalog, wish.template, wish.selector, heads)
  // Where a file that some tenant has was edited, that tenant does not stand where the files end.
  if (found.length > 0) await checkEdited(context, wish.template, schemas)
  const tenants = found.filter(tenant => concerned(schemas, tenant, wish))
  const plan: RolloutPlan = {
    id: tenants.length > 0 ? uuidv7() : undefined,
    template: wish.template,
    targets: tenants.length,
    tenants: [],
    waves: cutWaves(wish.settings, tenants.length),
    migrations: concernedFiles(schemas, tenants, wish),
    largest: [],
    findings: [],
    estimateMs: null,
    ...(verified && { verified })
  }
  if (!plan.id) {
    // With the whole fleet there is nothing that could have been misspelt: that stays one query.
    return wish.wholeFleet ? plan : { ...plan, selected: await countTenants(catalog, wish.template, wish.selector) }
  }
  if (wish.direction === 'up') await checkContracts(context, wish, schemas, tenants)
  const id = plan.id
  const { waves } = plan
  const targets = assignWaves(tenants, waves, tenant => endOf(schemas, tenant.engine, wish.to))
  const slugs = new Map(tenants.map(({ tenantId, slug }) => [tenantId, slug]))
  plan.tenants = targets.map(({ tenantId }) => slugs.get(tenantId) ?? tenantId)
  await measure(context, tenants)
  plan.largest = largestOf(tenants)
  if (wish.direction === 'up') {
    const found = await lintFiles(context, schemas, plan.migrations, wish.allow)
    plan.findings = await nameTheHit(context, tenants, found)
  }
  plan.estimateMs = await estimateFor(context, schemas, wish, tenants)
  await catalog.transaction(context.actor, async tx => {
    await insertRollout(tx, {
      id,
      template: wish.template,
      direction: wish.direction,
      target: wish.to,
      undoes: null,
      selector: { ...wish.selector },
      wholeFleet: wish.wholeFleet,
      settings: { ...wish.settings, allow: wish.allow },
      files: keptFiles(schemas, wish.direction === 'up' ? wish.to : null),
      findings: plan.findings.map(finding => ({ ...finding })),
      actor: context.actor,
      waves: waves.map(wave => wave.name),
      targets
    })
    tx.audit({
      chain: 'rollout',
      action: 'rollout.plan',
      subject: `rollout:${id}`,
      payload: { template: wish.template, direction: wish.direction, to: wish.to, targets: tenants.length }
    })
  })
  return plan
}

/** The template's files, per engine, as they are now. */
export async function schemasOf({ folders }: Pick<Context, 'folders'>, template: string): Promise<Schemas> {
  const { migrations } = await readTemplate(folders.templates, template)
  return new Map(Object.entries(migrations).map(([engine, files]) => [engine as EngineName, new EngineSchema(files)]))
}

/** ROLLOUT_CHANGED when the files are not those that the rollout was planned with. */
export function checkFiles(schemas: Schemas, kept: KeptFiles, id: string): void {
  const change = changedFile(schemas, kept)
  if (!change) return
  throw new SaasctlError('ROLLOUT_CHANGED', `${change} Rollout ${id} was planned with other files.`, {
    hint: 'Put the files back as they were, or abort it and plan again.'
  })
}

/** Where a database of the engine is to end: the named file, or the last one there is. */
function endOf(schemas: Schemas, engine: EngineName, to: string | null): string | null {
  return to ?? schemas.get(engine)?.files.at(-1)?.name ?? null
}

export function headsOf(schemas: Schemas, to: string | null): Head[] {
  return [...schemas].map(([engine, schema]) => ({
    engine,
    checksum: schema.checksumAt(to ?? schema.files.at(-1)?.name ?? null)
  }))
}

async function checkEdited({ catalog }: Context, template: string, schemas: Schemas): Promise<void> {
  for (const [engine, { files }] of schemas) {
    const known = await knownChecksums(catalog, template, engine)
    const edited = files.find(({ name, checksum }) => (known.get(name) ?? checksum) !== checksum)
    if (!edited) continue
    throw new SaasctlError(
      'MIGRATION_CHANGED',
      `Migration ${edited.name} (${engine}) was edited after it was applied.`,
      {
        hint: 'Put the file back as it was and make the change in a new migration.'
      }
    )
  }
}

/** Going up, one that is beyond the named migration is left alone; going down, one that does not have what is taken back. */
function concerned(
  schemas: Schemas,
  { engine, migrationsChecksum }: FleetTenant,
  { direction, to }: RolloutWish
): boolean {
  const schema = schemas.get(engine)
  const position = schema?.position(migrationsChecksum)
  // One that stands aside is looked at inside, when its turn comes.
  if (!schema || position === undefined || to === null) return true
  return direction === 'up' ? position < schema.indexOf(to) + 1 : position > schema.indexOf(to) + 1
}

function concernedFiles(
  schemas: Schemas,
  tenants: FleetTenant[],
  { direction, to }: RolloutWish
): Record<string, string[]> {
  const concerned: Record<string, string[]> = {}
  for (const [engine, schema] of schemas) {
    const positions = tenants
      .filter(tenant => tenant.engine === engine)
      .map(tenant => schema.position(tenant.migrationsChecksum) ?? 0)
    if (positions.length === 0) continue
    const end = to === null ? schema.files.length : schema.indexOf(to) + 1
    const files =
      direction === 'up'
        ? schema.files.slice(Math.min(...positions), end)
        : schema.files.slice(end, Math.max(...positions)).reverse()
    concerned[engine] = files.map(file => file.name)
  }
  return concerned
}

async function estimateFor(
  { catalog }: Context,
  schemas: Schemas,
  { template, direction, to, settings }: RolloutWish,
  tenants: FleetTenant[]
): Promise<number | null> {
  const groups = tenants.map(({ serverId, engine, migration }) => {
    return { serverId, engine, before: migration, after: endOf(schemas, engine, to), targets: 1 }
  })
  return estimate(await usualTimes(catalog, template, direction), groups, schemas, settings)
}
