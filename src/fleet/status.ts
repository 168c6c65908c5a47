import type { Queryable } from '../catalog/catalog.js'
import {
  type LargeTenant,
  largestTenants,
  type ServerCount,
  serverCounts,
  type TroubledTenant,
  troubledTenants,
  type VersionCount,
  versionCounts
} from '../catalog/fleet-status.js'
import type { Selector } from '../catalog/tenants.js'

export interface FleetStatus {
  tenants: number
  bytes: number
  /** Tenants that stand somewhere else than their template. */
  behind: number
  versions: VersionCount[]
  servers: ServerCount[]
  largest: LargeTenant[]
  troubles: Array<TroubledTenant & { next: string }>
}

const LARGEST = 5
/** More troubles than a person reads; the JSON says how many tenants there are, `rollout show` who they are. */
const TROUBLES = 1_000

/** How the fleet stands, from the catalog alone: a few aggregates, whatever its size. No server is asked. */
export async function fleetStatus(catalog: Queryable, selector: Selector): Promise<FleetStatus> {
  const [versions, servers, largest, troubles] = await Promise.all([
    versionCounts(catalog, selector),
    serverCounts(catalog, selector),
    largestTenants(catalog, selector, LARGEST),
    troubledTenants(catalog, selector, TROUBLES)
  ])
  const sum = (numbers: number[]) => numbers.reduce((a, b) => a + b, 0)
  return {
    tenants: sum(versions.map(({ tenants }) => tenants)),
    bytes: sum(versions.map(({ bytes }) => bytes)),
    behind: sum(versions.filter(({ migration, head }) => migration !== head).map(({ tenants }) => tenants)),
    versions,
    servers,
    largest,
    troubles: troubles.map(trouble => ({ ...trouble, next: nextFor(trouble) }))
  }
}

function nextFor({ why, id, slug, status }: TroubledTenant): string {
  if (why === 'rollout') return `saasctl rollout retry ${id}`
  if (why === 'drift') return `saasctl fleet drift ${slug} --fix-plan`
  return status === 'waiting' ? `saasctl operation resume ${id}` : `saasctl operation show ${id}`
}
