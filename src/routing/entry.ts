import type { FastifyReply, FastifyRequest } from 'fastify'
import { SaasctlError } from '../errors.js'
import type { Guard } from './guards.js'
import type { Observer } from './observe/observer.js'
import type { Identity } from './resolve/claim.js'
import type { TenantSession } from './session.js'

/** What a request was let in with. It stays readable after its end; the tenant's database does not. */
export interface Entry {
  readonly session: TenantSession
  readonly guard: Guard
  readonly identity: Identity | undefined
  over: boolean
}

/** Where a request keeps it: a property that exists from the start, so that requests keep one shape. */
export const ENTRY = Symbol('saasctl.entry')
type Stateful = FastifyRequest & { [ENTRY]: Entry | null }

export const entryOf = (request: FastifyRequest): Entry | null => (request as Stateful)[ENTRY]

/**
 * Gives the request its tenant until its answer is sent, its client goes away, or the socket that it took for its own is
 * closed. An upgraded request, as a WebSocket's, never counts as answered nor as aborted, so the response's own end is heard.
 */
export function enter(
  request: FastifyRequest,
  reply: FastifyReply,
  { session, guard, identity }: Omit<Entry, 'over'>,
  observer: Observer
): void {
  const entry = { session, guard, identity, over: false }
  ;(request as Stateful)[ENTRY] = entry
  reply.raw.on('close', () => {
    if (!entry.over) observer.answered?.(session.route, 'closed', reply.elapsedTime)
    leave(request)
  })
}

/** For what an application reads: an error where there is no tenant. */
export function entered(request: FastifyRequest): Entry {
  const entry = entryOf(request)
  if (entry) return entry
  throw withoutTenant()
}

/** Takes the tenant's database away; a second time is fine. */
export function leave(request: FastifyRequest): void {
  const entry = entryOf(request)
  if (!entry || entry.over) return
  entry.over = true
  const left = entry.session.end()
  if (left > 0) request.log.warn({ connections: left }, 'the request ended before its database work; it was stopped')
  entry.guard.leave()
}

/** A mistake of the application's; never a default tenant. */
export function withoutTenant(): SaasctlError {
  return new SaasctlError('FAILED', 'This request is for no tenant.', {
    hint: 'Use request.tenant after the router’s hook, on routes that were registered after it and do not say tenant: false.'
  })
}
