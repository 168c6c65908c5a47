import type { Queryable, Transaction } from '../catalog/catalog.js'
import { findTenant, lockTenantNamed, type PlacedTenant, type TenantStatus } from '../catalog/tenants.js'
import { SaasctlError } from '../errors.js'
import { quoteInput } from '../names.js'

/** The tenant, by slug or id; TENANT_NOT_FOUND says where to look. */
export async function mustFind(q: Queryable, slugOrId: string): Promise<PlacedTenant> {
  const tenant = await findTenant(q, slugOrId)
  if (!tenant) throw notFound(slugOrId)
  return tenant
}

const notFound = (slugOrId: string) =>
  new SaasctlError('TENANT_NOT_FOUND', `There is no tenant ${quoteInput(slugOrId)}.`, {
    hint: 'List them with "saasctl tenant list".'
  })

/** Finds the tenant and locks its row for this transaction, when it is in one of the states that allow `verb`. */
export async function lockForChange(
  tx: Transaction,
  slugOrId: string,
  verb: string,
  allowed: TenantStatus[]
): Promise<PlacedTenant> {
  const id = await lockTenantNamed(tx, slugOrId)
  if (id === undefined) throw notFound(slugOrId)
  // Read with the lock held: whoever had it before us may have changed more than this row.
  return inState(await mustFind(tx, id), verb, allowed)
}

/** The tenant itself when it is in one of the states that allow `verb`; TENANT_STATE otherwise. */
export function inState(tenant: PlacedTenant, verb: string, allowed: TenantStatus[]): PlacedTenant {
  if (allowed.includes(tenant.status)) return tenant
  throw new SaasctlError('TENANT_STATE', `Tenant ${tenant.slug} is ${tenant.status} and cannot be ${verb}.`, {
    hint: nextFor(tenant)
  })
}

function nextFor(tenant: PlacedTenant): string {
  switch (tenant.status) {
    case 'creating':
      return `See how far it is with "saasctl operation list --tenant ${tenant.id}".`
    case 'suspended':
      return `Resume it first with "saasctl tenant resume ${tenant.slug}".`
    case 'deleted':
      return `Bring it back first with "saasctl tenant undelete ${tenant.slug}".`
    default:
      return `Look at it with "saasctl tenant show ${tenant.id}".`
  }
}

/** The id of the database that the tenant lives in. */
export function databaseIdOfTenant(tenant: PlacedTenant): string {
  if (tenant.databaseId) return tenant.databaseId
  throw new SaasctlError('TENANT_STATE', `Tenant ${tenant.slug} has no database; it is ${tenant.status}.`)
}
