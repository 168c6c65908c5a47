import type { Json } from '../canonical.js'
import {
  claimStale,
  countWarm,
  insertDatabase,
  setDatabaseState,
  setTemplate,
  templateDatabase
} from '../catalog/databases.js'
import type { OperationRow } from '../catalog/operations.js'
import { type ServerRow, serverById, takePlace } from '../catalog/servers.js'
import { warmTargets } from '../catalog/warm.js'
import { createSteps, recordCopied } from '../databases/create-steps.js'
import { recordDropped } from '../databases/drop-steps.js'
import { promiseLogins } from '../databases/logins.js'
import { migrateDatabase } from '../databases/migrate.js'
import { CopyWork, DatabaseWork, gather } from '../databases/work.js'
import { uuidv7 } from '../names.js'
import type { Context, Kind } from '../operations/kind.js'
import { startOperation } from '../operations/start.js'
import { currentPlan, currentTemplate, type KeptPlan, type KeptTemplate, profileOf, readTemplate } from './register.js'

interface WarmInput extends Record<string, Json> {
  databaseId: string
}

/** Makes a database that no tenant has yet: a sign-up claims it in one catalog transaction. */
export const warmCreate: Kind<WarmInput, CopyWork> = {
  name: 'warm.create',
  inputVersion: 1,
  exclusion: 'shared',
  open: async (tools, operation) => new CopyWork(operation, await gather(tools, operation.input.databaseId)),
  steps: [
    ...createSteps,
    {
      name: 'offer',
      commit: async (tx, work) => {
        const { database } = work
        await recordCopied(tx, work)
        await setDatabaseState(tx, database.id, 'ready')
        tx.audit({
          chain: 'database',
          action: 'warm.create',
          subject: `database:${database.id}`,
          payload: { name: database.name }
        })
      }
    }
  ],
  failed: (tx, { input }) => recordDropped(tx, input.databaseId)
}

interface RefreshInput extends WarmInput {
  template: string
  templateId: string
}

/** Brings a warm database to its template's new head; nobody can claim it meanwhile. One that cannot follow is dropped. */
export const warmMigrate: Kind<RefreshInput, DatabaseWork> = {
  name: 'warm.migrate',
  inputVersion: 1,
  exclusion: 'shared',
  open: async (tools, operation) => new DatabaseWork(operation, await gather(tools, operation.input.databaseId)),
  steps: [
    {
      name: 'migrate',
      act: async (work, progress) => {
        const { template } = work.operation.input as RefreshInput
        const { migrations } = await readTemplate(work.tools.folders.templates, template)
        const inside = await work.session.enterDatabase(work.names, await work.logins.credentials('owner'))
        try {
          const wish = { direction: 'up', to: null } as const
          await migrateDatabase(work, inside, template, migrations[work.engine.name] ?? [], wish, progress)
        } finally {
          await inside.end()
        }
      },
      undo: async ({ session, names }) => {
        await session.dropDatabase(names)
        await session.dropLogins(names)
      }
    },
    {
      name: 'offer',
      commit: async (tx, { database, operation }) => {
        await setTemplate(tx, database.id, (operation.input as RefreshInput).templateId)
        await setDatabaseState(tx, database.id, 'ready')
      }
    }
  ],
  failed: (tx, { input }) => recordDropped(tx, input.databaseId)
}

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
  const counts = await countWarm(catalog, template.id)
  const present = counts.find(count => count.serverId === server.id && count.profile === profile)
  const missing = wanted - (present?.ready ?? 0) - (present?.building ?? 0)
  const engine = await context.engine(server.engine)
  const operations: OperationRow[] = []
  for (let index = 0; index < missing; index += 1) {
    const operation = await catalog.transaction(actor, async tx => {
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
    if (!operation) break
    operations.push(operation)
  }
  return operations
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
