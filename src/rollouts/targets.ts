import { createHash } from 'node:crypto'
import type { FleetTenant } from '../catalog/fleet.js'
import type { PlannedTarget } from '../catalog/rollouts.js'
import type { Wave } from './settings.js'

/**
 * Who comes in which wave: tenants labelled canary=true first, and then by a hash of their ids, so that every wave is a
 * sample of the fleet and the same plan made twice is the same.
 */
export function assignWaves(
  tenants: FleetTenant[],
  waves: Wave[],
  afterOf: (tenant: FleetTenant) => string | null
): PlannedTarget[] {
  const keyed = tenants.map(tenant => ({
    tenant,
    key: `${tenant.labels['canary'] === 'true' ? 0 : 1}${hash(tenant.tenantId)}`
  }))
  keyed.sort((a, b) => (a.key < b.key ? -1 : 1))
  const waveOf = waves.flatMap(({ size }, position) => Array.from({ length: size }, () => position))
  return keyed.map(({ tenant }, index) => ({
    tenantId: tenant.tenantId,
    databaseId: tenant.databaseId,
    serverId: tenant.serverId,
    wave: waveOf[index] ?? Math.max(waves.length - 1, 0),
    before: tenant.migration,
    after: afterOf(tenant)
  }))
}

const hash = (id: string) => createHash('sha256').update(id).digest('hex')
