import type { Json } from '../canonical.js'
import { tenantEvent } from '../catalog/audit.js'
import type { Transaction } from '../catalog/catalog.js'
import { claimWarm, insertDatabase, place, setDatabaseState } from '../catalog/databases.js'
import { violates } from '../catalog/errors.js'
import type { OperationRow } from '../catalog/operations.js'
import { insertTenant, setTenantStatus } from '../catalog/tenants.js'
import { createSteps } from '../databases/create-steps.js'
import { recordDropped } from '../databases/drop-steps.js'
import { promiseLogins } from '../databases/logins.js'
import { CopyWork, gather } from '../databases/work.js'
import type { EngineName } from '../engines/engine.js'
import { parseSlug, type Slug, uuidv7 } from '../names.js'
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
  steps: [
    ...createSteps,
    {
      name: 'activate',
      commit: async (tx, { operation, database }) => {
        const { tenantId } = operation.input as TenantInput
        await setDatabaseState(tx, database.id, 'placed')
        await place(tx, tenantId, database.id)
        await setTenantStatus(tx, tenantId, 'active')
        tx.audit(tenantEvent(tenantId, 'tenant.activate'))
      }
    }
  ],
  failed: async (tx, { input, error }) => {
    await recordDropped(tx, input.databaseId)
    await setTenantStatus(tx, input.tenantId, 'failed')
    tx.audit(tenantEvent(input.tenantId, 'tenant.create.failed', { code: error?.code }))
  }
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
}

/**
 * Creates a tenant: active after one catalog transaction when a warm database is there, else made step by step.
 * TENANT_EXISTS, SLUG_QUARANTINED, PLAN_NOT_FOUND, TEMPLATE_NOT_FOUND, NO_SERVER leave nothing behind.
 */
export async function createTenant(
  context: Context,
  asked: NewTenant,
  defaults: { template: string },
  wait: Wait
): Promise<TenantOutcome> {
  const slug = parseSlug(asked.slug)
  const { catalog, folders } = context
  const template = await currentTemplate(catalog, folders.templates, asked.template ?? defaults.template)
  const plan = await currentPlan(catalog, folders.templates, asked.plan ?? template.definition.defaultPlan)
  const wish: Wish = { ...asked, slug, id: uuidv7(), template: template.name, plan: plan.name }
  const promised = await promise(context, wish, { template, plan }, wait)
  const operation =
    wait.wait && promised.status !== 'succeeded' ? await context.operations.follow(promised, wait) : promised
  return { tenant: await mustFind(catalog, operation.tenantId ?? wish.id), operation }
}

async function promise(context: Context, wish: Wish, chosen: Chosen, wait: Wait): Promise<OperationRow> {
  const idempotent =
    wish.idempotencyKey === undefined ? undefined : { key: wish.idempotencyKey, request: requestOf(wish) }
  if (idempotent) {
    const earlier = await earlierOperation(context.catalog, idempotent)
    if (earlier) return earlier
  }
  try {
    return (
      (await fromWarm(context, wish, chosen, idempotent, wait)) ??
      (await fromTemplate(context, wish, chosen, idempotent, wait))
    )
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

type Idempotent = { key: string; request: Json } | undefined

/** Claims a warm database: one transaction, and the tenant is active. Undefined when there is none. */
async function fromWarm(
  context: Context,
  wish: Wish,
  { template, plan }: Chosen,
  idempotent: Idempotent,
  wait: Wait
): Promise<OperationRow | undefined> {
  if (wish.engine && !template.definition.engines[wish.engine]) return undefined
  const { catalog, actor } = context
  const claim = await context.operations.claim(wait.wait)
  const done = await catalog.transaction(actor, async tx => {
    const profile = profileOf(plan)
    const database = await claimWarm(tx, {
      templateId: template.id,
      engine: wish.engine ?? null,
      server: wish.server ?? null,
      region: wish.region ?? null,
      profile
    })
    if (!database) return undefined
    await writeTenant(tx, wish, 'active')
    await place(tx, wish.id, database.id)
    tx.audit(tenantEvent(wish.id, 'tenant.activate', { warm: true }))
    const input = { tenantId: wish.id, databaseId: database.id, slug: wish.slug }
    const operation = await recordOperation(tx, { kind: tenantCreate, input, tenantId: wish.id, actor, idempotent })
    const limits = database.profile === profile ? undefined : await startLimits(tx, context, wish.id, plan, claim)
    return { operation, limits }
  })
  if (done?.limits && wait.wait) await context.operations.follow(done.limits, wait)
  return done?.operation
}

/** Promises the database; a template that is not built on the chosen server yet is built first. */
async function fromTemplate(
  context: Context,
  wish: Wish,
  { template, plan }: Chosen,
  idempotent: Idempotent,
  wait: Wait
): Promise<OperationRow> {
  const { catalog, actor, keys } = context
  const claim = await context.operations.claim(wait.wait)
  return catalog.transaction(actor, async tx => {
    await writeTenant(tx, wish, 'creating')
    const engines = Object.keys(template.definition.engines) as EngineName[]
    const server = await chooseServer(
      tx,
      { engine: wish.engine ?? null, server: wish.server ?? null, region: wish.region ?? null },
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
    await promiseLogins(tx, keys, databaseId, names)
    return startOperation(tx, {
      kind: tenantCreate,
      input: { tenantId: wish.id, databaseId, slug: wish.slug },
      subject: `tenant:${wish.id}`,
      tenantId: wish.id,
      actor,
      claim,
      idempotent,
      ...(build && { after: build.id })
    })
  })
}

async function writeTenant(tx: Transaction, wish: Wish, status: 'creating' | 'active'): Promise<void> {
  await checkQuarantine(tx, wish.slug, wish.id)
  await insertTenant(tx, {
    id: wish.id,
    slug: wish.slug,
    displayName: wish.displayName ?? null,
    status,
    plan: wish.plan,
    template: wish.template,
    labels: wish.labels ?? {},
    region: wish.region ?? null
  })
  const { slug, template, plan, labels } = wish
  tx.audit(tenantEvent(wish.id, 'tenant.create', { slug, template, plan, labels }))
}
