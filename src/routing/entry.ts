import type { FastifyReply, FastifyRequest } from 'fastify'
import { SaasctlError } from '../errors.js'
import type { Guard } from './guards.js'
import type { Observer } from './observe/observer.js'
import type { Identity } from './resolve/claim.js'
import type { TenantSession } from './session.js'

/** What a request was let in with. */
export interface Entry {
  session: TenantSession
  guard: Guard
  identity: Identity | undefined
}

/** Where a request keeps it: a property that exists from the start, so that requests keep one shape. */
export const ENTRY = Symbol('saasctl.entry')
type Stateful = FastifyRequest & { [ENTRY]: Entry | null }

export const entryOf = (request: FastifyRequest): Entry | null => (request as Stateful)[ENTRY]

/**
 * Gives the request its tenant until its answer is sent, its client goes away, or the socket that it took for its own is
 * closed. An upgraded request, as a WebSocket's, never counts as answered nor as aborted, so the response's own end is heard.
 */
export function enter(request: FastifyRequest, reply: FastifyReply, entry: Entry, observer: Observer): void {
  ;(request as Stateful)[ENTRY] = entry
  reply.raw.once('close', () => {
    if (entryOf(request)) observer.answered?.(entry.session.route, 'closed', reply.elapsedTime)
    leave(request)
  })
}

/** Takes it away; a second time is fine. */
export function leave(request: FastifyRequest): void {
  const entry = entryOf(request)
  if (!entry) return
  ;(request as Stateful)[ENTRY] = null
  const left = entry.session.end()
  if (left > 0) request.log.warn({ connections: left }, 'the request ended before its database work; it was stopped')
  entry.guard.leave()
}

/** FAILED where there is no tenant: a mistake of the application's, never a default tenant. */
export function entered(request: FastifyRequest): Entry {
  const entry = entryOf(request)
  if (entry) return entry
  throw new SaasctlError('FAILED', 'This request is for no tenant, or has ended.', {
    hint: 'Use request.tenant within the handler, on routes whose config does not say tenant: false.'
  })
}
