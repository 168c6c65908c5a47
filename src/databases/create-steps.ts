import type { Json } from '../canonical.js'
import { tenantEvent } from '../catalog/audit.js'
import { settleAhead } from '../catalog/bindings.js'
import type { Transaction } from '../catalog/catalog.js'
import { place, setDatabaseState, setSchema } from '../catalog/databases.js'
import type { OperationRow } from '../catalog/operations.js'
import { setTenantStatus } from '../catalog/tenants.js'
import type { KindHead, Step } from '../operations/kind.js'
import { bindAhead } from './bind.js'
import { recordDropped } from './drop-steps.js'
import type { CopyWork } from './work.js'

/**
 * What making a database means, as a list a reader can say aloud. No window opens: the database is born closed, the public's
 * rights go before anybody may connect, and the app logins open only when everything in it is its own.
 * The logins come first so that undoing backwards drops the database before its owner.
 */
export const copySteps: ReadonlyArray<Step<CopyWork>> = [
  {
    name: 'make logins',
    act: async ({ session, names, logins, database }) =>
      session.makeLogins({ names, passwords: await logins.passwords(), limits: database.limits }),
    undo: ({ session, names }) => session.dropLogins(names)
  },
  {
    name: 'copy template',
    act: async work => {
      const template = await work.template()
      await work.session.makeDatabase(work.names, { names: template.names, bytes: template.database.bytes ?? 0 })
      await work.session.guardDatabase(work.names)
    },
    undo: ({ session, names }) => session.dropDatabase(names)
  },
  {
    name: 'hand over',
    act: async work => {
      const template = await work.template()
      await work.session.furnishDatabase({
        names: work.names,
        databaseId: work.database.id,
        owner: await work.logins.credentials('owner'),
        from: { names: template.names, owner: await template.logins.credentials('owner') }
      })
      await work.session.setLimits(work.names, work.database.limits)
    }
  }
]

/** The last of them. */
export const openAndLook: Step<CopyWork> = {
  name: 'open and look',
  act: async work => {
    await work.session.openLogins(work.names, ['app_a', 'app_b', 'readonly'])
    await look(work)
  },
  undo: ({ session, names }) => session.closeLogins(names, ['app_a', 'app_b', 'readonly'])
}

/** All of them, for a database that is a tenant's when they are done: whose it is stands beside it before the tenant has it. */
export const createSteps: ReadonlyArray<Step<CopyWork>> = [
  ...copySteps,
  {
    ...openAndLook,
    act: async (work, ...rest) => {
      const { tenantId } = work.operation.input as { tenantId: string }
      await Promise.all([openAndLook.act?.(work, ...rest), bindAhead(work, tenantId)])
    }
  }
]

/** The last word on a new tenant: from this transaction on routers see it. */
export async function activate(tx: Transaction, work: CopyWork): Promise<void> {
  const { operation, database } = work
  const { tenantId } = operation.input as { tenantId: string }
  await recordCopied(tx, work)
  await setDatabaseState(tx, database.id, 'placed')
  await place(tx, tenantId, database.id)
  await setTenantStatus(tx, tenantId, 'active')
  await settleAhead(tx, database.id)
  tx.audit(tenantEvent(tenantId, 'tenant.activate'))
}

/** After everything was taken back: the tenant has never been. */
export async function forget(
  tx: Transaction,
  { input, error }: OperationRow<{ tenantId: string; databaseId: string }>
): Promise<void> {
  await recordDropped(tx, input.databaseId)
  await setTenantStatus(tx, input.tenantId, 'failed')
  tx.audit(tenantEvent(input.tenantId, 'tenant.create.failed', { code: error?.code }))
}

/** What fills a new tenant's database before anybody sees it, instead of what makes an empty one: its input, and these members. */
export interface Filling {
  kind: KindHead
  input: Record<string, Json>
}

/** What the catalog knows of a copy at once: it is what its template is. */
export async function recordCopied(tx: Transaction, work: CopyWork): Promise<void> {
  const { database } = await work.template()
  await setSchema(tx, work.database.id, { ...database, migrationsChecksum: database.migrationsChecksum ?? '' })
}

/** Logs in as the tenant and sees that it is the right database: the proof, and the slow first connect (11 ms) done by us. */
async function look(work: CopyWork): Promise<void> {
  await work.engine.identify(
    work.access,
    work.names.database,
    await work.logins.credentials(work.database.activeApp),
    work.database.id
  )
}
