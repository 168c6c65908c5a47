import { tenantEvent } from '../catalog/audit.js'
import type { Transaction } from '../catalog/catalog.js'
import { setDatabaseState } from '../catalog/databases.js'
import { lockSubject, type OperationRow, openOperationOf } from '../catalog/operations.js'
import { lockTenant, setTenantStatus } from '../catalog/tenants.js'
import { startDrop } from '../databases/drop.js'
import type { LoginRole } from '../engines/engine.js'
import { SaasctlError } from '../errors.js'
import type { Context } from '../operations/kind.js'
import type { Follow } from '../operations/operations.js'
import { startOperation } from '../operations/start.js'
import { databaseClose } from './close.js'
import type { Mend } from './finding.js'
import { recount } from './queries/catalog.js'
import { lockAbandoned, lockTemplate, lockWarm } from './queries/databases.js'

/** Promises an operation in one transaction, which decides again whether it is right, and follows it to its end. */
export async function work(
  context: Context,
  follow: Follow,
  promise: (tx: Transaction, claim: { owner: string; leaseMs: number } | null) => Promise<OperationRow>
): Promise<void> {
  const claim = await context.operations.claim(true)
  const operation = await context.catalog.transaction(context.actor, tx => promise(tx, claim))
  await context.operations.follow(operation, follow)
}

/** Drops a database that is provably ours and nobody's. It counts on its server again until it is gone. */
export function dropAbandoned(databaseId: string, reason: string): Mend {
  return (context, follow) =>
    work(context, follow, async (tx, claim) => {
      await lockSubject(tx, `database:${databaseId}`)
      const found = await lockAbandoned(tx, databaseId)
      if (!found) throw changed()
      const operation = await startDrop(tx, databaseId, { actor: context.actor, claim })
      await recount(tx, found.serverId)
      const payload = { reason, before: found.state, operation: operation.id }
      tx.audit({ chain: 'database', action: 'database.drop.start', subject: `database:${databaseId}`, payload })
      return operation
    })
}

/** Takes a warm database out of the pool, and keeps it: it cannot be proven that it holds nothing. */
export function quarantine(databaseId: string, reason: string): Mend {
  return ({ catalog, actor }) =>
    catalog.transaction(actor, async tx => {
      if (!(await lockWarm(tx, databaseId))) throw changed()
      await setDatabaseState(tx, databaseId, 'retired')
      tx.audit({
        chain: 'database',
        action: 'database.quarantine',
        subject: `database:${databaseId}`,
        payload: { reason }
      })
    })
}

/** Closes a tenant's logins again, as far as its status closes them. */
export function closeTenant(databaseId: string, tenantId: string): Mend {
  return (context, follow) =>
    work(context, follow, async (tx, claim) => {
      const tenant = await lockTenant(tx, tenantId)
      const roles = closedRoles(tenant?.status)
      if (roles.length === 0) throw changed()
      tx.audit(tenantEvent(tenantId, 'tenant.close', { roles, status: tenant?.status }))
      const input = { databaseId, roles, seal: false }
      const subject = `tenant:${tenantId}`
      return startOperation(tx, { kind: databaseClose, input, subject, tenantId, actor: context.actor, claim })
    })
}

/** The logins that nobody may use while a tenant has this status. */
export function closedRoles(status: string | null | undefined): LoginRole[] {
  if (status === 'suspended') return ['app_a', 'app_b']
  if (status === 'deleted') return ['app_a', 'app_b', 'readonly', 'owner']
  return []
}

/** Seals a template's database and closes its logins again: an open one cannot be copied. */
export function sealTemplate(databaseId: string): Mend {
  return (context, follow) =>
    work(context, follow, async (tx, claim) => {
      if (!(await lockTemplate(tx, databaseId))) throw changed()
      const subject = `database:${databaseId}`
      const input = { databaseId, roles: ['app_a', 'app_b', 'readonly'] satisfies LoginRole[], seal: true }
      tx.audit({ chain: 'database', action: 'database.close', subject, payload: { roles: input.roles, seal: true } })
      return startOperation(tx, { kind: databaseClose, input, subject, actor: context.actor, claim })
    })
}

/** Ends a creation that nothing works on: the tenant was never shown to anybody, its slug is free again. */
export function failCreation(tenantId: string): Mend {
  return ({ catalog, actor }) =>
    catalog.transaction(actor, async tx => {
      const tenant = await lockTenant(tx, tenantId)
      if (tenant?.status !== 'creating' || (await openOperationOf(tx, tenantId, true))) throw changed()
      await setTenantStatus(tx, tenantId, 'failed')
      tx.audit(tenantEvent(tenantId, 'tenant.create.failed', { reason: 'no operation was at work on it' }))
    })
}

export function changed(): SaasctlError {
  return new SaasctlError('OPERATION_STATE', 'It changed while doctor looked at it.', {
    hint: 'Run "saasctl doctor" again.'
  })
}
