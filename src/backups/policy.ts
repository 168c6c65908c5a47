import { type BackupHealth, type BackupTotals, backupHealth } from '../catalog/backup-health.js'
import type { Queryable } from '../catalog/catalog.js'
import type { Selector } from '../catalog/tenants.js'
import { SaasctlError } from '../errors.js'

export interface PolicyReport {
  totals: BackupTotals
  /** The worst first, and not more than a person reads; `totals.broken` counts all. */
  broken: BackupHealth[]
}

const SHOWN = 1000

/** How the fleet stands against its plans' policies: one pass over the catalog, no server or store is asked. */
export function checkPolicies(q: Queryable, selector: Selector): Promise<PolicyReport> {
  return backupHealth(q, selector, SHOWN)
}

/** CHECK_FOUND when a tenant's backups are not as its plan says. */
export function refuseBroken({ totals, broken }: PolicyReport): void {
  const [first] = broken
  if (!first) return
  const others = totals.broken > 1 ? ` and ${totals.broken - 1} more` : ''
  throw new SaasctlError(
    'CHECK_FOUND',
    `The backup policy of tenant ${first.slug} (${first.broken})${others} is broken.`,
    {
      hint: `Look whether a worker runs, and make one now: saasctl tenant backup ${first.slug}`,
      data: { broken: broken.map(({ slug }) => slug) }
    }
  )
}
