import { tenantEvent } from '../catalog/audit.js'
import { replaceDatabase, replacedBy, setHeld } from '../catalog/replaced.js'
import { gather } from '../databases/work.js'
import { SaasctlError } from '../errors.js'
import type { Context, Kind } from '../operations/kind.js'
import { databaseIdOfTenant, lockForChange } from '../tenants/find.js'
import { REQUESTS_MS } from '../tenants/suspend.js'
import { changeTenant, startOnTenant, type TenantOutcome, type Wait } from '../tenants/work.js'
import { inside } from './fill.js'
import { hold } from './hold-steps.js'
import { fleetVersion, movedAway } from './restore.js'
import { BesideWork, type RestoreInput } from './work.js'

interface UndoInput extends RestoreInput {
  /** What the tenant has when it begins; `databaseId` is the one that it had before. */
  replaces: string
  discardWrites: boolean
  /** What had been written to the present one when it took its place. */
  writes: string
}

class UndoWork extends BesideWork {
  writes = ''
}

/** Gives a tenant the database back that it had before its restore. What the restored one got since is set aside with it. */
export const tenantRestoreUndo: Kind<UndoInput, UndoWork> = {
  name: 'tenant.restore.undo',
  inputVersion: 1,
  exclusion: 'exclusive',
  pivot: 'take its place',
  open: async (tools, operation) => {
    const { databaseId, replaces } = operation.input
    return new UndoWork(operation, await gather(tools, databaseId), await gather(tools, replaces))
  },
  steps: [
    {
      name: 'open the owner',
      act: ({ session, names }) => session.openLogins(names, ['owner']),
      undo: ({ session, names }) => session.closeLogins(names, ['owner', 'app_a', 'app_b', 'readonly'])
    },
    { name: 'migrate', act: (work, progress) => work.migrate(progress) },
    hold,
    {
      name: 'close new logins',
      act: ({ session, other }) => session.closeLogins(other.names, ['app_a', 'app_b', 'readonly'], REQUESTS_MS),
      undo: async work => {
        await work.session.openLogins(work.other.names, ['readonly', ...(await work.otherAppLogins())])
      }
    },
    { name: 'look for writes', act: refuseWrites },
    {
      name: 'open logins',
      act: async work => {
        await work.session.openLogins(work.names, ['readonly', ...(await work.appLogins())])
      }
    },
    {
      name: 'take its place',
      act: async work => {
        await work.engine.identify(
          work.access,
          work.names.database,
          await work.logins.credentials('owner'),
          work.database.id
        )
        work.writes = await inside(work, owned => owned.writes())
      },
      commit: async (tx, work) => {
        const { tenantId, replaces, slug, discardWrites } = work.input as UndoInput
        const keepSeconds = work.tools.grace.deleteSeconds
        const change = { tenantId, from: replaces, to: work.database.id, writes: work.writes, keepSeconds }
        if (!(await replaceDatabase(tx, change))) throw movedAway(slug)
        await setHeld(tx, tenantId, false)
        tx.audit(
          tenantEvent(tenantId, 'tenant.restore.undone', { from: replaces, to: work.database.id, discardWrites })
        )
      }
    },
    {
      name: 'settle',
      act: async work => {
        await work.session.closeLogins(work.other.names, ['owner'])
        if ((await work.appLogins()).length === 0) await work.session.closeLogins(work.names, ['app_a', 'app_b'])
      }
    }
  ]
}

/** With nobody inside any more, so that nothing can be written between the look and the change of place. */
async function refuseWrites(work: UndoWork): Promise<void> {
  const { discardWrites, writes, slug } = work.input as UndoInput
  if (discardWrites) return
  const owner = await work.other.logins.credentials('owner')
  const owned = await work.session.enterDatabase(work.other.names, owner)
  try {
    if ((await owned.writes()) === writes) return
  } finally {
    await owned.end()
  }
  throw new SaasctlError('TENANT_STATE', `Tenant ${slug} was written to since it was restored.`, {
    hint: 'Nothing was changed. With --discard-writes the restore is undone and what was written is lost to the tenant.'
  })
}

/** Undoes the last restore of a tenant, as long as what it replaced is kept. */
export function undoRestore(
  context: Context,
  slug: string,
  { discardWrites }: { discardWrites: boolean },
  options: Wait
): Promise<TenantOutcome> {
  return changeTenant(context, options, async (tx, claim) => {
    const tenant = await lockForChange(tx, slug, 'restored', ['active', 'suspended'])
    const replaces = databaseIdOfTenant(tenant)
    const before = await replacedBy(tx, replaces)
    if (!before) throw nothingKept(tenant.slug)
    const { database, server } = await gather(context, before.databaseId)
    const head = await fleetVersion(context, server.id, tenant.template)
    const migrate = head !== null && database.migration !== head && { to: head }
    tx.audit(tenantEvent(tenant.id, 'tenant.restore.undo', { discardWrites, back: before.databaseId }))
    return startOnTenant(tx, context, tenantRestoreUndo, tenant, claim, {
      databaseId: before.databaseId,
      replaces,
      template: tenant.template,
      source: { live: before.databaseId },
      sourceTenantId: null,
      migrate,
      discardWrites,
      writes: before.writes
    })
  })
}

const nothingKept = (slug: string): SaasctlError =>
  new SaasctlError('TENANT_STATE', `Nothing is kept of what tenant ${slug} was before a restore.`, {
    hint: 'A restore can be undone until its grace is over; restore a backup instead.'
  })
