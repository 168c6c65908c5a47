import type { Json } from '../canonical.js'
import type { Transaction } from '../catalog/catalog.js'
import type { OperationRow } from '../catalog/operations.js'
import type { PlacedTenant } from '../catalog/tenants.js'
import { DatabaseWork, gather } from '../databases/work.js'
import type { Context, KindHead, Tools } from '../operations/kind.js'
import type { Follow } from '../operations/operations.js'
import { startOperation } from '../operations/start.js'
import { databaseIdOfTenant, mustFind } from './find.js'

/** What every operation on a placed tenant is told. */
export interface TenantInput extends Record<string, Json> {
  tenantId: string
  databaseId: string
  slug: string
}

/** What a use-case on one tenant gives back. */
export interface TenantOutcome {
  tenant: PlacedTenant
  operation: OperationRow
}

export interface Wait extends Follow {
  /** False leaves the work to a worker and comes back at once. */
  wait: boolean
}

export async function openTenantWork(tools: Tools, operation: OperationRow<TenantInput>): Promise<DatabaseWork> {
  return new DatabaseWork(operation, await gather(tools, operation.input.databaseId))
}

/** Promises an operation on a tenant whose row is locked. */
export function startOnTenant(
  tx: Transaction,
  context: Context,
  kind: KindHead,
  tenant: PlacedTenant,
  claim: { owner: string; leaseMs: number } | null,
  more: Record<string, Json> = {}
): Promise<OperationRow> {
  const input = { tenantId: tenant.id, databaseId: databaseIdOfTenant(tenant), slug: tenant.slug, ...more }
  return startOperation(tx, {
    kind,
    input,
    subject: `tenant:${tenant.id}`,
    tenantId: tenant.id,
    actor: context.actor,
    claim
  })
}

/**
 * The shape of every use-case on one tenant: change the catalog and promise the work in one transaction, then follow it.
 * Gives the tenant as it is afterwards.
 */
export async function changeTenant(
  context: Context,
  wait: Wait,
  promise: (tx: Transaction, claim: { owner: string; leaseMs: number } | null) => Promise<OperationRow>
): Promise<TenantOutcome> {
  const claim = await context.operations.claim(wait.wait)
  const started = await context.catalog.transaction(context.actor, tx => promise(tx, claim))
  const operation = wait.wait ? await context.operations.follow(started, wait) : started
  return { tenant: await mustFind(context.catalog, started.tenantId ?? ''), operation }
}
