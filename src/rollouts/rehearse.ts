import { tenantEvent } from '../catalog/audit.js'
import { templateDatabase } from '../catalog/databases.js'
import { groupsLeft } from '../catalog/rollout-times.js'
import { type Rehearsal, targetOf } from '../catalog/rollouts.js'
import { serverById } from '../catalog/servers.js'
import { builtTemplate } from '../catalog/templates.js'
import { findTenant, lockTenant } from '../catalog/tenants.js'
import type { EngineName } from '../engines/engine.js'
import { SaasctlError } from '../errors.js'
import { quoteInput, uuidv7 } from '../names.js'
import type { Context } from '../operations/kind.js'
import type { Follow } from '../operations/operations.js'
import { startOperation } from '../operations/start.js'
import { mustFindRollout } from './find.js'
import type { Rollout } from './lane-work.js'
import { checkFiles, schemasOf } from './plan.js'
import { type RehearsalInput, rolloutRehearse } from './rehearsal.js'
import type { Schemas } from './schema.js'
import { notRunning } from './turn.js'

/**
 * Tries what a plan would run, and throws the clones away: on a clone of the template, once for each engine that has
 * targets, or on one of the tenant `on`, which nobody can enter while it is copied. Nothing is written to a tenant. The error
 * of a file that fails is thrown, as it would be in the rollout.
 */
export async function rehearseRollout(
  context: Context,
  id: string,
  { on, ...follow }: Follow & { on?: string | undefined } = {}
): Promise<Rehearsal[]> {
  const rollout = await mustFindRollout(context.catalog, id)
  if (rollout.status !== 'planned') throw notRunning(rollout, 'tried')
  const schemas = await schemasOf(context, rollout.template)
  checkFiles(schemas, rollout.files, id)
  const inputs = on === undefined ? await onTemplate(context, rollout, schemas) : [await onTenant(context, rollout, on)]
  const tried = new Set<string>()
  for (const input of inputs) tried.add(await tryOne(context, input, follow))
  const { rehearsals } = await mustFindRollout(context.catalog, id)
  return (rehearsals as unknown as Rehearsal[]).filter(({ operationId }) => tried.has(operationId))
}

async function tryOne(context: Context, input: RehearsalInput, follow: Follow): Promise<string> {
  const { catalog, actor, operations } = context
  const { tenantId, rolloutId, databaseId, slug } = input
  const claim = await operations.claim(true)
  const started = await catalog.transaction(actor, async tx => {
    if (tenantId !== null) {
      await lockTenant(tx, tenantId)
      tx.audit(tenantEvent(tenantId, 'tenant.rehearse', { rollout: rolloutId }))
    }
    tx.audit({
      chain: 'rollout',
      action: 'rollout.rehearse',
      subject: `rollout:${rolloutId}`,
      payload: { tenant: slug, server: input.server }
    })
    const subject = tenantId === null ? `database:${databaseId}` : `tenant:${tenantId}`
    return startOperation(tx, {
      kind: rolloutRehearse,
      input,
      subject,
      ...(tenantId !== null && { tenantId }),
      actor,
      claim
    })
  })
  await operations.follow(started, follow)
  return started.id
}

/** For each engine on the server with the most targets, over all the files that any of its targets has before it. */
async function onTemplate(context: Context, rollout: Rollout, schemas: Schemas): Promise<RehearsalInput[]> {
  const groups = await groupsLeft(context.catalog, rollout.id)
  const inputs: RehearsalInput[] = []
  for (const [engine, { files }] of schemas) {
    const mine = groups.filter(group => group.engine === engine).toSorted((a, b) => b.targets - a.targets)
    const [most] = mine
    if (!most) continue
    const at = (name: string | null) => files.findIndex(file => file.name === name) + 1
    const ends = mine.flatMap(({ before, after }) => [at(before), at(after)])
    const name = (position: number) => files[position - 1]?.name ?? null
    const [low, high] = [name(Math.min(...ends)), name(Math.max(...ends))]
    const [before, after] = rollout.direction === 'up' ? [low, high] : [high, low]
    const sourceId = await templateSource(context, rollout, schemas, { engine, serverId: most.serverId, before })
    const server = await serverById(context.catalog, most.serverId)
    inputs.push({
      rolloutId: rollout.id,
      databaseId: uuidv7(),
      serverId: most.serverId,
      server: server?.name ?? most.serverId,
      sourceId,
      tenantId: null,
      slug: null,
      before,
      after
    })
  }
  return inputs
}

/** The template's database, when it does not have more than the first file of the way expects; else all begins empty. */
async function templateSource(
  { catalog }: Context,
  { template }: Rollout,
  schemas: Schemas,
  { engine, serverId, before }: { engine: EngineName; serverId: string; before: string | null }
): Promise<string | null> {
  const built = await builtTemplate(catalog, template)
  const database = built && (await templateDatabase(catalog, serverId, built.id))
  const schema = schemas.get(engine)
  if (!schema || !database) return null
  const position = schema.position(database.migrationsChecksum)
  if (position === undefined) return null
  return position <= (before === null ? 0 : schema.indexOf(before) + 1) ? database.id : null
}

async function onTenant({ catalog }: Context, rollout: Rollout, slug: string): Promise<RehearsalInput> {
  const tenant = await findTenant(catalog, slug)
  if (!tenant) {
    throw new SaasctlError('TENANT_NOT_FOUND', `There is no tenant ${quoteInput(slug)}.`, {
      hint: 'List them with "saasctl tenant list".'
    })
  }
  if (tenant.status !== 'active' && tenant.status !== 'suspended') {
    throw new SaasctlError('TENANT_STATE', `Tenant ${tenant.slug} is ${tenant.status} and cannot be copied.`, {
      hint: 'Choose another one that the plan names.'
    })
  }
  const target = await targetOf(catalog, rollout.id, tenant.id)
  if (!target || target.databaseId !== tenant.databaseId) {
    throw new SaasctlError('ROLLOUT_STATE', `Tenant ${tenant.slug} is no target of rollout ${rollout.id}.`, {
      hint: 'Choose one that the plan names, or plan again.'
    })
  }
  const server = await serverById(catalog, target.serverId)
  return {
    rolloutId: rollout.id,
    databaseId: uuidv7(),
    serverId: target.serverId,
    server: server?.name ?? target.serverId,
    sourceId: target.databaseId,
    tenantId: tenant.id,
    slug: tenant.slug,
    before: target.before,
    after: target.after
  }
}
