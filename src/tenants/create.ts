import type { Json } from '../canonical.js'
import { tenantEvent } from '../catalog/audit.js'
import type { Transaction } from '../catalog/catalog.js'
import { claimWarm, insertDatabase, place } from '../catalog/databases.js'
import { violates } from '../catalog/errors.js'
import type { OperationRow } from '../catalog/operations.js'
import { insertTenant } from '../catalog/tenants.js'
import { activate, createSteps, type Filling, forget } from '../databases/create-steps.js'
import { promiseLogins } from '../databases/logins.js'
import { CopyWork, gather } from '../databases/work.js'
import type { EngineName } from '../engines/engine.js'
import { parseLabels, parseSlug, type Slug, uuidv7 } from '../names.js'
import type { Context, Kind } from '../operations/kind.js'
import { earlierOperation, recordOperation, startOperation } from '../operations/start.js'
import { startBuild } from '../templates/build.js'
import { currentPlan, currentTemplate, type KeptPlan, type KeptTemplate, profileOf } from '../templates/register.js'
import { chooseServer } from './choose-server.js'
import { mustFind } from './find.js'
import { checkQuarantine, slugTaken } from './slugs.js'
import { startLimits } from './update.js'
import type { TenantInput, TenantOutcome, Wait } from './work.js'

export interface NewTenant {
  slug: string
  template?: string | undefined
  plan?: string | undefined
  displayName?: string | undefined
  labels?: Record<string, string> | undefined
  engine?: EngineName | undefined
  server?: string | undefined
  region?: string | undefined
  /** The same key with the same request is the same tenant, however often it is sent. */
  idempotencyKey?: string | undefined
}

/** Makes a tenant's database from nothing. Until the last step nobody sees the tenant; a failure leaves nothing of it. */
export const tenantCreate: Kind<TenantInput, CopyWork> = {
  name: 'tenant.create',
  inputVersion: 1,
  exclusion: 'exclusive',
  open: async (tools, operation) => new CopyWork(operation, await gather(tools, operation.input.databaseId)),
  steps: [...createSteps, { name: 'activate', commit: activate }],
  failed: forget
}

interface Wish extends Omit<NewTenant, 'slug'> {
  id: string
  slug: Slug
  template: string
  plan: string
}

interface Chosen {
  template: KeptTemplate
  plan: KeptPlan
  filling: Filling | undefined
}

/**
 * Creates a tenant: active after one catalog transaction when a warm database is there, else made step by step.
 * With a filling it is made step by step by this process, and active when that is in it.
 * TENANT_EXISTS, SLUG_QUARANTINED, PLAN_NOT_FOUND, TEMPLATE_NOT_FOUND, NO_SERVER leave nothing behind.
 */
export async function createTenant(
  context: Context,
  asked: NewTenant,
  defaults: { template: string },
  wait: Wait,
  filling?: Filling
): Promise<TenantOutcome> {
  const slug = parseSlug(asked.slug)
  const template = await currentTemplate(context, asked.template ?? defaults.template)
  const plan = await currentPlan(context, asked.plan ?? template.definition.defaultPlan)
  const wish: Wish = { ...asked, slug, id: uuidv7(), template: template.name, plan: plan.name }
  const promised = await promise(context, wish, { template, plan, filling }, wait)
  const operation =
    wait.wait && promised.status !== 'succeeded' ? await context.operations.follow(promised, wait) : promised
  return { tenant: await mustFind(context.catalog, operation.tenantId ?? wish.id), operation }
}

async function promise(context: Context, wish: Wish, chosen: Chosen, wait: Wait): Promise<OperationRow> {
  const idempotent =
    wish.idempotencyKey === undefined ? undefined : { key: wish.idempotencyKey, request: requestOf(wish) }
  if (idempotent) {
    const earlier = await earlierOperation(context.catalog, idempotent)
    if (earlier) return earlier
  }
  try {
    // What fills it is on this machine, and nowhere else for sure.
    const claim = chosen.filling ? context.operations.settings : await context.operations.claim(wait.wait)
    const how = { ...chosen, idempotent, claim }
    const { operation, limits } = await context.catalog.transaction(
      context.actor,
      async tx =>
        (chosen.filling ? undefined : await fromWarm(tx, context, wish, how)) ??
        (await fromTemplate(tx, context, wish, how))
    )
    if (limits && wait.wait) await context.operations.follow(limits, wait)
    return operation
  } catch (error) {
    // Of several requests with one key that came at once, one wrote the tenant: it is the answer to all.
    const earlier = idempotent && (await earlierOperation(context.catalog, idempotent))
    if (earlier) return earlier
    throw violates(error, 'tenant_slug') ? slugTaken(wish.slug) : error
  }
}

function requestOf({ slug, template, plan, displayName, labels, engine, server, region }: Wish): Json {
  return { slug, template, plan, displayName, labels, engine, server, region }
}

interface How extends Chosen {
  idempotent: { key: string; request: Json } | undefined
  claim: { owner: string; leaseMs: number } | null
}

interface Promised {
  operation: OperationRow
  /** Brings the limits of a warm database to the plan's, when it was made for others. */
  limits?: OperationRow | undefined
}

/** Claims a warm database: with this transaction the tenant is active. Undefined when there is none. */
async function fromWarm(tx: Transaction, context: Context, wish: Wish, how: How): Promise<Promised | undefined> {
  const { template, plan, idempotent, claim } = how
  if (wish.engine && !template.definition.engines[wish.engine]) return undefined
  const profile = profileOf(plan)
  const database = await claimWarm(tx, {
    templateId: template.id,
    engine: wish.engine ?? null,
    server: wish.server ?? null,
    region: wish.region ?? null,
    profile
  })
  if (!database) return undefined
  await writeTenant(tx, wish, template, 'active')
  await place(tx, wish.id, database.id)
  tx.audit(tenantEvent(wish.id, 'tenant.activate', { warm: true }))
  const input = { tenantId: wish.id, databaseId: database.id, slug: wish.slug }
  const { actor } = context
  const operation = await recordOperation(tx, { kind: tenantCreate, input, tenantId: wish.id, actor, idempotent })
  const limits = database.profile === profile ? undefined : await startLimits(tx, context, wish.id, plan, claim)
  return { operation, limits }
}

/** Promises the database; a template that is not built on the chosen server yet is built first. */
async function fromTemplate(tx: Transaction, context: Context, wish: Wish, how: How): Promise<Promised> {
  const { template, plan, filling, idempotent, claim } = how
  await writeTenant(tx, wish, template, 'creating')
  const engines = Object.keys(template.definition.engines) as EngineName[]
  const server = await chooseServer(
    tx,
    {
      engine: wish.engine ?? null,
      server: wish.server ?? null,
      region: wish.region ?? null,
      templateId: template.id
    },
    engines
  )
  const build = await startBuild(tx, context, server, template, { claim: null })
  const databaseId = uuidv7()
  const names = (await context.engine(server.engine)).names(databaseId)
  await insertDatabase(tx, {
    id: databaseId,
    serverId: server.id,
    name: names.database,
    kind: 'tenant',
    templateId: template.id,
    limits: plan.definition.limits,
    profile: profileOf(plan)
  })
  await promiseLogins(tx, context.keys, databaseId, names)
  const operation = await startOperation(tx, {
    kind: filling?.kind ?? tenantCreate,
    input: { tenantId: wish.id, databaseId, slug: wish.slug, ...filling?.input },
    subject: `tenant:${wish.id}`,
    tenantId: wish.id,
    newTenant: true,
    actor: context.actor,
    claim,
    idempotent,
    ...(build && { after: build.id })
  })
  return { operation }
}

async function writeTenant(
  tx: Transaction,
  wish: Wish,
  template: KeptTemplate,
  status: 'creating' | 'active'
): Promise<void> {
  const labels = { ...template.definition.labels, ...parseLabels(wish.labels ?? {}) }
  await insertTenant(tx, {
    id: wish.id,
    slug: wish.slug,
    displayName: wish.displayName ?? null,
    status,
    plan: wish.plan,
    template: wish.template,
    labels,
    region: wish.region ?? null
  })
  // Looked at last: the insertion has waited for whoever was just freeing the slug.
  await checkQuarantine(tx, wish.slug, wish.id)
  const { slug, plan } = wish
  tx.audit(tenantEvent(wish.id, 'tenant.create', { slug, template: template.name, plan, labels }))
}
