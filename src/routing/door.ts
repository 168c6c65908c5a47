import type { FastifyReply, FastifyRequest, onRequestHookHandler } from 'fastify'
import { asSaasctlError, SaasctlError } from '../errors.js'
import { notFound, sendError } from './answers.js'
import { type Guard, Guards } from './guards.js'
import type { SecurityEvents } from './observe/events.js'
import { bindLog, traceIdOf } from './observe/logging.js'
import type { Observer } from './observe/observer.js'
import { agree } from './resolve/agree.js'
import type { Claim, Identity } from './resolve/claim.js'
import { type Chosen, claimsOf } from './resolve/claims.js'
import { factsOf } from './resolve/facts.js'
import { Refusal } from './resolve/refusal.js'
import type { Route } from './route.js'
import type { TenantSession } from './session.js'
import type { Tenant } from './tenant.js'
import type { Tenants } from './tenants.js'

/** What a request was let in with. */
export interface Entry {
  session: TenantSession
  guard: Guard
  identity: Identity | undefined
}

export interface Refused {
  tenant: Tenant
  status: Route['status']
  identity: Identity | undefined
}

export interface DoorOptions {
  tenants: Tenants
  /** Lets the application say more to a caller whose verified token is this tenant's own. */
  onRefused: ((refused: Refused, request: FastifyRequest, reply: FastifyReply) => void | Promise<void>) | undefined
  events: SecurityEvents
  /** Keeps what the request was let in with. */
  enter(request: FastifyRequest, entry: Entry): void
}

/** Where requests come in: names their tenant, and lets them in, sends them away, or refuses to know of any tenant. */
export class Door {
  readonly #options: DoorOptions
  readonly #guards = new Guards()
  readonly #observer: Observer

  constructor(options: DoorOptions) {
    this.#options = options
    this.#observer = options.tenants.observer
  }

  /** The hook of one route. */
  hook(sources: Chosen): onRequestHookHandler {
    // By host and path a cache tells answers apart anyway.
    const vary = sources.sources.flatMap(source => source.vary ?? []).join(', ')
    return (request, reply, done) => {
      if (vary !== '') reply.header('vary', vary)
      const named = claimsOf(sources, factsOf(request))
      // Nearly every request is decided here, without a promise: its claims are read, and its tenant is known.
      const known = Array.isArray(named) ? this.#peekAll(named) : undefined
      if (known && Array.isArray(named)) this.#conclude(request, reply, named, known, done)
      else void this.#decide(request, reply, named, done)
    }
  }

  #peekAll(claims: readonly Claim[]): Array<Route | undefined> | undefined {
    const routes: Array<Route | undefined> = []
    for (const { by, value } of claims) {
      const route = this.#options.tenants.peek({ by, value })
      if (route === undefined) return undefined
      routes.push(route ?? undefined)
    }
    this.#observer.lookedUp?.(true)
    return routes
  }

  async #decide(
    request: FastifyRequest,
    reply: FastifyReply,
    named: ReturnType<typeof claimsOf>,
    done: (error?: Error) => void
  ): Promise<void> {
    try {
      const claims = await named
      if (claims instanceof Refusal) return this.#refuse(request, reply, claims)
      this.#observer.lookedUp?.(false)
      const routes = await Promise.all(claims.map(({ by, value }) => this.#options.tenants.find({ by, value })))
      this.#conclude(request, reply, claims, routes, done)
    } catch (error) {
      this.#sendAway(request, reply, asSaasctlError(error))
    }
  }

  #conclude(
    request: FastifyRequest,
    reply: FastifyReply,
    claims: readonly Claim[],
    routes: ReadonlyArray<Route | undefined>,
    done: (error?: Error) => void
  ): void {
    const route = agree(claims, routes)
    if (route instanceof Refusal) this.#refuse(request, reply, route)
    else if (route.status !== 'active') void this.#closed(request, reply, claims, route)
    else if (this.#letIn(request, reply, claims, route)) done()
  }

  /** Counts the request; false when it was sent away because the plan allows no more just now. */
  #letIn(request: FastifyRequest, reply: FastifyReply, claims: readonly Claim[], route: Route): boolean {
    const { tenants, enter } = this.#options
    const guard = this.#guards.of(route.tenantId, route.rules.requests)
    const identity = claims.find(claim => claim.identity)?.identity
    bindLog(request, reply, route, identity?.userId, tenants.traceId() ?? traceIdOf(request.headers['traceparent']))
    try {
      guard.enter()
    } catch (thrown) {
      const error = asSaasctlError(thrown)
      this.#observer.turnedAway?.(route, error.code)
      this.#sendAway(request, reply, error)
      return false
    }
    enter(request, { session: tenants.session(route), guard, identity })
    return true
  }

  /** Suspended or deleted: the one refusal, unless the caller has proven that it is the tenant's own. */
  async #closed(request: FastifyRequest, reply: FastifyReply, claims: readonly Claim[], route: Route): Promise<void> {
    const { onRefused, tenants } = this.#options
    const proven = claims.find(({ verified }) => verified)
    if (!onRefused || !proven) {
      return this.#refuse(request, reply, new Refusal('unknown', undefined, `Tenant ${route.slug} is ${route.status}.`))
    }
    request.log.info({ tenantId: route.tenantId, reason: route.status }, 'refused')
    this.#observer.refused?.('unknown')
    try {
      const { tenant } = tenants.session(route)
      await onRefused({ tenant, status: route.status, identity: proven.identity }, request, reply)
      if (!reply.sent) reply.code(404).send(notFound)
    } catch (error) {
      this.#sendAway(request, reply, asSaasctlError(error))
    }
  }

  #refuse(request: FastifyRequest, reply: FastifyReply, refusal: Refusal): void {
    const { reason, source, detail } = refusal
    request.log.info({ reason, source, detail }, 'refused')
    this.#observer.refused?.(reason)
    if (refusal.alarming) this.#options.events.note(refusal, request.raw.socket.remoteAddress ?? '')
    if (refusal.status === 404) reply.code(404).send(notFound)
    else this.#sendAway(request, reply, unavailable(refusal))
  }

  /** The tenant's own trouble, as 429 or 503 with the time to come again. */
  #sendAway(request: FastifyRequest, reply: FastifyReply, error: SaasctlError): void {
    request.log.warn({ code: error.code }, 'not served')
    sendError(reply, error)
  }
}

function unavailable(refusal: Refusal): SaasctlError {
  return new SaasctlError(refusal.status === 503 ? 'TENANT_DOWN' : 'FAILED', refusal.detail, {
    cause: refusal.cause,
    retryable: refusal.status === 503
  })
}
