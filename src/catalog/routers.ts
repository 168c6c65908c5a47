import { canonical } from '../canonical.js'
import type { Queryable } from './catalog.js'

/** A running router, as it presents itself. */
export interface RouterInstance {
  id: string
  service: string
  host: string
  pid: number
  /** Migrations that its program works with. */
  oldest?: string
  newest?: string
}

export async function heartbeatRouter(q: Queryable, router: RouterInstance, leaseSeconds: number): Promise<void> {
  await q.query('select saasctl.router_heartbeat($1, $2, $3, $4, $5, $6, $7)', [
    router.id,
    router.service,
    router.host,
    router.pid,
    router.oldest ?? null,
    router.newest ?? null,
    leaseSeconds
  ])
}

/**
 * The router's present share of a server's connections. `holds` is the most that it may have open before it hears the answer:
 * what it gives back is free for others once it has said so.
 */
export async function shareOf(q: Queryable, instance: string, serverId: string, holds: number): Promise<number> {
  const [row] = await q.query<{ share: number }>('select saasctl.router_share($1, $2, $3) as share', [
    instance,
    serverId,
    holds
  ])
  return row?.share ?? 0
}

/** Says that others hold all connections that the tenant may have; every router on the server hears of it by a notice. */
export async function crowdedRouter(q: Queryable, instance: string, serverId: string, tenantId: string): Promise<void> {
  await q.query('select saasctl.router_crowded($1, $2, $3)', [instance, serverId, tenantId])
}

/** Gives all shares back at once. */
export async function leaveRouter(q: Queryable, instance: string): Promise<void> {
  await q.query('select saasctl.router_leave($1)', [instance])
}

/** What the router saw at its door, on the audit trail's chain "router". The caller caps how often. */
export async function routerEvent(
  q: Queryable,
  instance: string,
  action: string,
  payload: Record<string, string | number>
): Promise<void> {
  await q.query('select saasctl.router_event($1, $2, $3, $4)', [
    instance,
    action,
    `router:${instance}`,
    canonical(payload)
  ])
}

/** Voids what applications have cached of a tenant, in every process. */
export async function routerInvalidate(q: Queryable, instance: string, tenantId: string): Promise<void> {
  await q.query('select saasctl.router_invalidate($1, $2)', [instance, tenantId])
}
