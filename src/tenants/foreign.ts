import type { Json } from '../canonical.js'
import { freeName } from '../catalog/adoptions.js'
import { tenantEvent } from '../catalog/audit.js'
import type { Transaction } from '../catalog/catalog.js'
import { insertDatabase } from '../catalog/databases.js'
import { violates } from '../catalog/errors.js'
import type { OperationRow } from '../catalog/operations.js'
import type { ServerRow } from '../catalog/servers.js'
import { insertTenant, setTenantStatus } from '../catalog/tenants.js'
import { recordDropped } from '../databases/drop-steps.js'
import { promiseLogins } from '../databases/logins.js'
import type { DatabaseNames, Engine } from '../engines/engine.js'
import { parseLabels, parseSlug, uuidv7 } from '../names.js'
import type { Context, KindHead } from '../operations/kind.js'
import { startOperation } from '../operations/start.js'
import { type KeptPlan, type KeptTemplate, profileOf } from '../templates/register.js'
import { chooseServer } from './choose-server.js'
import { mustFind } from './find.js'
import { checkQuarantine, slugTaken } from './slugs.js'
import type { TenantInput, TenantOutcome, Wait } from './work.js'

export interface ForeignWish {
  slug: string
  displayName?: string | undefined
  labels?: Record<string, string> | undefined
  region?: string | undefined
}

export interface Chosen {
  template: KeptTemplate
  plan: KeptPlan
  server: ServerRow
}

export interface ForeignKind {
  kind: KindHead
  names: (engine: Engine, databaseId: string) => DatabaseNames
  input: Record<string, Json>
  also?: (tx: Transaction, databaseId: string) => Promise<void>
}

/** Promises a tenant whose data was there before it: tenant, database, passwords and operation in one transaction. */
export async function promiseForeign(
  context: Context,
  wish: ForeignWish,
  { template, plan, server }: Chosen,
  wait: Wait,
  { kind, names: namesOf, input: more, also }: ForeignKind
): Promise<TenantOutcome> {
  const slug = parseSlug(wish.slug)
  const tenantId = uuidv7()
  const databaseId = uuidv7()
  const names = namesOf(await context.engine(server.engine), databaseId)
  const labels = { ...template.definition.labels, ...parseLabels(wish.labels ?? {}) }
  const claim = await context.operations.claim(wait.wait)
  const write = async (tx: Transaction) => {
    const about = { slug, displayName: wish.displayName ?? null, region: wish.region ?? null, labels }
    await insertTenant(tx, { ...about, id: tenantId, status: 'creating', plan: plan.name, template: template.name })
    await checkQuarantine(tx, slug, tenantId)
    const wanted = { engine: server.engine, server: server.name, region: null, templateId: template.id }
    await chooseServer(tx, wanted, [server.engine])
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
    await also?.(tx, databaseId)
    tx.audit(
      tenantEvent(tenantId, 'tenant.create', {
        how: kind.name,
        slug,
        template: template.name,
        plan: plan.name,
        labels,
        ...more
      })
    )
    const input = { tenantId, databaseId, slug, ...more }
    const { actor } = context
    return startOperation(tx, {
      kind,
      input,
      subject: `tenant:${tenantId}`,
      tenantId,
      newTenant: true,
      actor,
      claim
    })
  }
  const started = await context.catalog.transaction(context.actor, write).catch((error: unknown) => {
    throw violates(error, 'tenant_slug') ? slugTaken(slug) : error
  })
  const operation = wait.wait ? await context.operations.follow(started, wait) : started
  return { tenant: await mustFind(context.catalog, tenantId), operation }
}

/** After everything was taken back: nothing of ours is on the server, and the name of the database is free for another try. */
export async function forgetForeign(tx: Transaction, { input, error }: OperationRow<TenantInput>): Promise<void> {
  await recordDropped(tx, input.databaseId)
  await freeName(tx, input.databaseId)
  await setTenantStatus(tx, input.tenantId, 'failed')
  tx.audit(tenantEvent(input.tenantId, 'tenant.create.failed', { code: error?.code }))
}
