import { claimStale, countWarm, insertDatabase, templateDatabase } from '../catalog/databases.js'
import type { OperationRow } from '../catalog/operations.js'
import { lockServer, type ServerRow, serverById, takePlace } from '../catalog/servers.js'
import { warmTargets } from '../catalog/warm.js'
import { promiseLogins } from '../databases/logins.js'
import { uuidv7 } from '../names.js'
import type { Context } from '../operations/kind.js'
import { startOperation } from '../operations/start.js'
import { currentPlan, currentTemplate, type KeptPlan, type KeptTemplate, profileOf } from './register.js'
import { warmCreate, warmMigrate } from './warm-kinds.js'

/** Promises as many warm databases as `wanted` lacks on this server, for tenants of this plan. Gives the new operations. */
export async function fillWarm(
  context: Context,
  server: ServerRow,
  template: KeptTemplate,
  plan: KeptPlan,
  wanted: number
): Promise<OperationRow[]> {
  const { catalog, actor, keys } = context
  const profile = profileOf(plan)
  const engine = await context.engine(server.engine)
  const operations: OperationRow[] = []
  for (;;) {
    const operation = await catalog.transaction(actor, async tx => {
      // Counted under the lock: of two who fill at once, one sees what the other has promised.
      await lockServer(tx, server.id)
      const counts = await countWarm(tx, template.id)
      const present = counts.find(count => count.serverId === server.id && count.profile === profile)
      if ((present?.ready ?? 0) + (present?.building ?? 0) >= wanted) return undefined
      if (!(await takePlace(tx, server.id))) return undefined
      const id = uuidv7()
      const names = engine.names(id)
      await insertDatabase(tx, {
        id,
        serverId: server.id,
        name: names.database,
        kind: 'tenant',
        templateId: template.id,
        limits: plan.definition.limits,
        profile
      })
      await promiseLogins(tx, keys, id, names)
      return startOperation(tx, {
        kind: warmCreate,
        input: { databaseId: id },
        subject: `database:${id}`,
        actor,
        claim: null
      })
    })
    if (!operation) return operations
    operations.push(operation)
  }
}

/** Promises to bring every warm database of older versions of the template to this one. Gives the new operations. */
export async function refreshWarm(
  context: Context,
  server: ServerRow,
  template: KeptTemplate
): Promise<OperationRow[]> {
  const { catalog, actor } = context
  return catalog.transaction(actor, async tx => {
    const stale = await claimStale(tx, server.id, template.name, template.id)
    const operations: OperationRow[] = []
    for (const { id } of stale) {
      const input = { databaseId: id, template: template.name, templateId: template.id }
      operations.push(
        await startOperation(tx, { kind: warmMigrate, input, subject: `database:${id}`, actor, claim: null })
      )
    }
    return operations
  })
}

/** Promises what every warm pool lacks of its number. Called by a worker once a minute. Gives how many it promised. */
export async function keepWarm(context: Context): Promise<number> {
  let promised = 0
  for (const target of await warmTargets(context.catalog)) {
    const server = await serverById(context.catalog, target.serverId)
    if (!server) continue
    const template = await currentTemplate(context, target.template)
    // Before the template's new version is built on this server there is nothing to copy.
    if (!(await templateDatabase(context.catalog, server.id, template.id))) continue
    const plan = await currentPlan(context, target.plan)
    const refreshed = await refreshWarm(context, server, template)
    const filled = await fillWarm(context, server, template, plan, target.wanted)
    promised += refreshed.length + filled.length
  }
  return promised
}
