import type { Json } from '../canonical.js'

/**
 * Who did it. `proven` by a token; `asserted` where a program talks to the catalog without one: then the name is the
 * OS user's. The catalog adds the login it saw by itself.
 */
export interface Actor {
  name: string
  proof: 'proven' | 'asserted'
  /** The operator's, when it is proven by a token. */
  operatorId?: string
}

export interface AuditEvent {
  /** One chain per tenant, `tenant:<id>`, and one per other noun, as `server`. */
  chain: string
  /** What happened, as `tenant.rename`. */
  action: string
  /** To what, as `tenant:<id>`. */
  subject: string
  /** Before and after, reason: the erasable part. Never a secret. */
  payload: Json
  /** Erases what earlier events of the chain said; the chain itself stays, and this event is why it is still whole. */
  erases?: true
}

export function tenantChain(tenantId: string): string {
  return `tenant:${tenantId}`
}

/** An event on a tenant's own chain. */
export function tenantEvent(tenantId: string, action: string, payload: Json = {}): AuditEvent {
  return { chain: tenantChain(tenantId), action, subject: `tenant:${tenantId}`, payload }
}
