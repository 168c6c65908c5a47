import type { FastifyReply, FastifyRequest, onRequestHookHandler } from 'fastify'
import { asSaasctlError, SaasctlError } from '../errors.js'
import { isTrouble, sendFailed, sendNotFound, sendTrouble } from './answers.js'
import { enter } from './entry.js'
import { Guards } from './guards.js'
import type { SecurityEvents } from './observe/events.js'
import { bindLog } from './observe/logging.js'
import type { Observer } from './observe/observer.js'
import { agree } from './resolve/agree.js'
import type { Claim, Identity } from './resolve/claim.js'
import { type Chosen, claimsOf } from './resolve/claims.js'
import { factsOf } from './resolve/facts.js'
import { Refusal } from './resolve/refusal.js'
import type { Route } from './route.js'
import type { Tenant } from './tenant.js'
import type { Tenants } from './tenants.js'

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
}

/** A request before the door. */
interface Visit {
  request: FastifyRequest
  reply: FastifyReply
  /** The route that it is for, in words. */
  where: string
  /** When it came; 0 where nobody wants to know. */
  since: number
  done: () => void
}

/** Where requests come in: names their tenant, and lets them in, sends them away, or refuses to know of any tenant. */
export class Door {
  readonly #options: DoorOptions
  readonly #guards = new Guards()
  readonly #observer: Observer
  readonly #traceId = () => this.#options.tenants.traceId()

  constructor(options: DoorOptions) {
    this.#options = options
    this.#observer = options.tenants.observer
  }

  /** The hook of one route, which `where` names. */
  hook(sources: Chosen, where: string): onRequestHookHandler {
    // By host and path a cache tells answers apart anyway.
    const vary = sources.sources.flatMap(source => source.vary ?? []).join(', ')
    const isTimed = this.#observer.resolved !== undefined
    return (request, reply, done) => {
      if (vary !== '') reply.header('vary', vary)
      const visit = { request, reply, where, since: isTimed ? performance.now() : 0, done }
      const named = claimsOf(sources, factsOf(request))
      // Nearly every request is decided here, without a promise: its claims are read, and its tenant is known.
      const known = Array.isArray(named) ? this.#peekAll(named) : undefined
      if (known && Array.isArray(named)) this.#conclude(visit, named, known)
      else void this.#decide(visit, named)
    }
  }

  #peekAll(claims: readonly Claim[]): Array<Route | undefined> | undefined {
    const routes: Array<Route | undefined> = []
    let before: Claim | undefined
    for (const claim of claims) {
      // A token and a hostname mostly say the same, in the same word.
      const isSame = before?.value === claim.value && before.by === claim.by
      const route = isSame ? routes.at(-1) : this.#options.tenants.peek({ by: claim.by, value: claim.value })
      if (route === undefined && !isSame) return undefined
      routes.push(route ?? undefined)
      before = claim
    }
    this.#observer.lookedUp?.(true)
    return routes
  }

  async #decide(visit: Visit, named: ReturnType<typeof claimsOf>): Promise<void> {
    try {
      const claims = await named
      if (claims instanceof Refusal) this.#refuse(visit, claims)
      else this.#conclude(visit, claims, this.#peekAll(claims) ?? (await this.#findAll(claims)))
    } catch (error) {
      this.#sendAway(visit, asSaasctlError(error))
    }
  }

  #findAll(claims: readonly Claim[]): Promise<Array<Route | undefined>> {
    this.#observer.lookedUp?.(false)
    return Promise.all(claims.map(({ by, value }) => this.#options.tenants.find({ by, value })))
  }

  #conclude(visit: Visit, claims: readonly Claim[], routes: ReadonlyArray<Route | undefined>): void {
    const route = agree(claims, routes)
    if (route instanceof Refusal) this.#refuse(visit, route)
    else if (route.status === 'held') this.#sendAway(visit, held(route.slug))
    else if (route.status !== 'active') void this.#closed(visit, claims, route)
    else if (this.#letIn(visit, claims, route)) visit.done()
  }

  /** Counts the request; false when it was sent away because the plan allows no more just now. */
  #letIn(visit: Visit, claims: readonly Claim[], route: Route): boolean {
    const { request, reply, where, since } = visit
    const { tenants } = this.#options
    const guard = this.#guards.of(route.tenantId, route.rules.requests)
    const identity = claims.find(claim => claim.identity)?.identity
    bindLog(request, reply, route, identity?.userId, this.#traceId)
    this.#observer.resolved?.(performance.now() - since, route)
    try {
      guard.enter()
    } catch (thrown) {
      const error = asSaasctlError(thrown)
      this.#observer.turnedAway?.(route, error.code)
      this.#sendAway(visit, error)
      return false
    }
    enter(request, reply, { session: tenants.session(route, where), guard, identity }, this.#observer)
    return true
  }

  /** Suspended or deleted: the one refusal, unless the caller has proven that it is the tenant's own. */
  async #closed(visit: Visit, claims: readonly Claim[], route: Route): Promise<void> {
    const { request, reply } = visit
    const { onRefused, tenants } = this.#options
    const proven = claims.find(({ verified }) => verified)
    if (!onRefused || !proven) {
      return this.#refuse(visit, new Refusal('unknown', undefined, `Tenant ${route.slug} is ${route.status}.`))
    }
    request.log.info({ tenantId: route.tenantId, reason: route.status }, 'refused')
    this.#told('unknown', visit, route)
    try {
      const { tenant } = tenants.session(route)
      await onRefused({ tenant, status: route.status, identity: proven.identity }, request, reply)
      if (!reply.sent) sendNotFound(reply)
    } catch (error) {
      this.#sendAway(visit, asSaasctlError(error))
    }
  }

  #refuse(visit: Visit, refusal: Refusal): void {
    const { request, reply } = visit
    const { reason, source, detail } = refusal
    request.log.info({ reason, source, detail }, 'refused')
    this.#told(reason, visit)
    if (refusal.alarming) this.#options.events.note(refusal, request.raw.socket.remoteAddress ?? '')
    if (refusal.status === 404) sendNotFound(reply)
    else this.#sendAway(visit, unavailable(refusal))
  }

  #told(reason: Refusal['reason'], { since }: Visit, route?: Route): void {
    this.#observer.refused?.(reason)
    this.#observer.resolved?.(performance.now() - since, route)
  }

  /** The tenant's own trouble, as 429 or 503 with the time to come again; our own, as a plain 500. */
  #sendAway({ request, reply }: Visit, error: SaasctlError): void {
    request.log.warn({ code: error.code }, 'not served')
    if (reply.sent) return
    if (isTrouble(error)) sendTrouble(reply, error)
    else sendFailed(reply)
  }
}

/** It takes a few seconds: the database behind the name is about to be another one. */
function held(slug: string): SaasctlError {
  return new SaasctlError('TENANT_DOWN', `Tenant ${slug} is held for a moment.`, { retryable: true })
}

function unavailable({ status, detail, cause }: Refusal): SaasctlError {
  return new SaasctlError(status === 503 ? 'TENANT_DOWN' : 'FAILED', detail, { cause, retryable: status === 503 })
}
