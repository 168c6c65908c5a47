import { randomBytes } from 'node:crypto'
import { tenantEvent } from '../catalog/audit.js'
import { violates } from '../catalog/errors.js'
import {
  deleteHostname,
  type HostnameRow,
  hostnameOfTenant,
  hostnamesOf,
  insertHostname,
  markProven
} from '../catalog/hostnames.js'
import { SaasctlError } from '../errors.js'
import { parseHostname } from '../names.js'
import type { Context } from '../operations/kind.js'
import { type Challenge, challengeOf, missingProof, type Resolving } from './domain-proof.js'
import { lockForChange, mustFind } from './find.js'

/** A tenant's domain, and what makes it route. */
export interface TenantDomain extends HostnameRow {
  /** The TXT record that proves it. */
  record: Challenge
}

/** Notes that the tenant says the domain is its own. It does not route before `verifyDomain`. Again is fine. */
export async function addDomain(context: Context, slug: string, domain: string): Promise<TenantDomain> {
  const hostname = parseHostname(domain)
  return context.catalog.transaction(context.actor, async tx => {
    const { id } = await lockForChange(tx, slug, 'given a domain', ['active', 'suspended'])
    if (!(await hostnameOfTenant(tx, id, hostname))) {
      await insertHostname(tx, id, hostname, randomBytes(20).toString('hex'))
      tx.audit(tenantEvent(id, 'tenant.domain.add', { hostname }))
    }
    return withRecord(await mustHave(tx, id, hostname, slug))
  })
}

/**
 * Looks for the proof in the DNS; from then on the domain routes to the tenant. DOMAIN_UNPROVEN says what was found instead,
 * DOMAIN_TAKEN when another tenant has proven it. Again is fine: it looks whether the proof is still there, and a domain that
 * has lost it goes on routing, because a customer who tidies up the DNS must not be cut off. To end it is `removeDomain`.
 */
export async function verifyDomain(
  context: Context,
  slug: string,
  domain: string,
  resolving: Resolving
): Promise<TenantDomain> {
  const hostname = parseHostname(domain)
  const { id } = await mustFind(context.catalog, slug)
  const { record, proof, verifiedAt } = withRecord(await mustHave(context.catalog, id, hostname, slug))
  // Outside the transaction: a slow name server must not hold the tenant's row.
  const missing = await missingProof(record, resolving)
  if (missing !== undefined) throw unproven(hostname, missing, verifiedAt)
  return context.catalog
    .transaction(context.actor, async tx => {
      await lockForChange(tx, id, 'given a domain', ['active', 'suspended'])
      const now = await mustHave(tx, id, hostname, slug)
      if (now.proof !== proof) throw unproven(hostname, 'it was removed and added again meanwhile', now.verifiedAt)
      if (!now.verifiedAt) {
        await markProven(tx, id, hostname)
        tx.audit(tenantEvent(id, 'tenant.domain.verify', { hostname }))
      }
      return withRecord(await mustHave(tx, id, hostname, slug))
    })
    .catch((error: unknown) => {
      throw violates(error, 'hostname_proven') ? taken(hostname) : error
    })
}

/** Stops routing by the domain. DOMAIN_NOT_FOUND when the tenant does not have it. */
export async function removeDomain(context: Context, slug: string, domain: string): Promise<TenantDomain> {
  const hostname = parseHostname(domain)
  return context.catalog.transaction(context.actor, async tx => {
    const { id } = await lockForChange(tx, slug, 'relieved of a domain', ['active', 'suspended', 'deleted'])
    const removed = await mustHave(tx, id, hostname, slug)
    await deleteHostname(tx, id, hostname)
    tx.audit(tenantEvent(id, 'tenant.domain.remove', { hostname, proven: removed.verifiedAt !== null }))
    return withRecord(removed)
  })
}

export async function listDomains(context: Context, slug: string): Promise<TenantDomain[]> {
  const { id } = await mustFind(context.catalog, slug)
  return (await hostnamesOf(context.catalog, id)).map(withRecord)
}

const withRecord = (row: HostnameRow): TenantDomain => ({ ...row, record: challengeOf(row.hostname, row.proof) })

async function mustHave(
  q: Parameters<typeof hostnameOfTenant>[0],
  tenantId: string,
  hostname: string,
  slug: string
): Promise<HostnameRow> {
  const row = await hostnameOfTenant(q, tenantId, hostname)
  if (row) return row
  throw new SaasctlError('DOMAIN_NOT_FOUND', `Tenant ${slug} has no domain ${hostname}.`, {
    hint: `Add it with "saasctl tenant domain add ${slug} ${hostname}".`
  })
}

function unproven(hostname: string, found: string, verifiedAt: Date | null): SaasctlError {
  const what = verifiedAt ? `${hostname} routes, but its proof is gone` : `${hostname} is not proven`
  return new SaasctlError('DOMAIN_UNPROVEN', `${what}: ${found}.`, {
    hint: verifiedAt
      ? 'Set the record again; or, if the domain has changed hands, remove it with "saasctl tenant domain remove".'
      : 'Set the TXT record that "saasctl tenant domain list" shows; name servers may take minutes to tell of it.'
  })
}

function taken(hostname: string): SaasctlError {
  return new SaasctlError('DOMAIN_TAKEN', `Another tenant has proven ${hostname} already.`, {
    hint: 'Remove it there first, if it has changed hands.'
  })
}
