import type { Json } from '../canonical.js'

/**
 * Who did it. `proven` by a token; `asserted` where a program talks to the catalog without one: then the name is the
 * OS user's. The catalog adds the login it saw by itself.
 */
export interface Actor {
  name: string
  proof: 'proven' | 'asserted'
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
}

/** An event on a tenant's own chain. */
export function tenantEvent(tenantId: string, action: string, payload: Json = {}): AuditEvent {
  return { chain: `tenant:${tenantId}`, action, subject: `tenant:${tenantId}`, payload }
}
