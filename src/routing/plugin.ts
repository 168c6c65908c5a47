import type { FastifyInstance, FastifyReply, FastifyRequest, onRequestHookHandler } from 'fastify'
import fp from 'fastify-plugin'
import type { DataSource, EntityManager } from 'typeorm'
import { asSaasctlError, SaasctlError } from '../errors.js'
import { Guard } from './guards.js'
import { agree } from './resolve/agree.js'
import type { Claim, Identity, Source } from './resolve/claim.js'
import { type Chosen, chooseSources, claimsOf, type SourceChoice } from './resolve/claims.js'
import { factsOf } from './resolve/facts.js'
import { Refusal } from './resolve/refusal.js'
import type { Route } from './route.js'
import type { TenantSession } from './session.js'
import type { Tenant } from './tenant.js'
import type { Tenants } from './tenants.js'

declare module 'fastify' {
  interface FastifyRequest {
    /** The tenant that this request is for. Reading it on a route that has none is an error, never a default tenant. */
    readonly tenant: Tenant
    /** The tenant's TypeORM DataSource, until the response is sent. */
    tenantDb(): Promise<DataSource>
    /** Runs `work` in one transaction of the tenant's database. */
    tenantTransaction<T>(work: (manager: EntityManager) => Promise<T>): Promise<T>
  }
  interface FastifyContextConfig {
    /** Which sources may name the tenant; false for a route that is for no tenant. By default all sources of the router. */
    tenant?: SourceChoice | false
  }
}

export interface PluginOptions {
  tenants: Tenants
  /** What may name a request's tenant, as `fromJwt('tid', …)` and `fromSubdomain('app.example')`. */
  resolve: readonly Source[]
  /**
   * Lets the application say more than "not found" to a caller whose verified token is this tenant's own: that its account is
   * suspended, say. Whoever proves nothing gets the one refusal.
   */
  onRefused?: (refused: Refused, request: FastifyRequest, reply: FastifyReply) => void | Promise<void>
}

export interface Refused {
  tenant: Tenant
  status: Route['status']
  identity: Identity | undefined
}

interface State {
  session: TenantSession
  guard: Guard
}

/** Where a request keeps what the router knows of it: a property that exists from the start, so that requests keep one shape. */
const STATE = Symbol('saasctl.state')
type Stateful = FastifyRequest & { [STATE]: State | null }

/** Tenants whose requests are counted at most, besides those that have one under way. */
const GUARDS = 10_000

/** One answer for unknown, foreign, suspended and disagreeing: two would tell an outsider which tenants exist. */
const notFound = { statusCode: 404, code: 'TENANT_REFUSED', error: 'Not Found', message: 'Not found.' }

async function plugin(app: FastifyInstance, { tenants, resolve, onRefused }: PluginOptions): Promise<void> {
  const everywhere = chooseSources(resolve)
  const guards = new Map<string, Guard>()

  app.decorateRequest(STATE, null)
  app.decorateRequest('tenant', {
    getter(this: FastifyRequest) {
      return sessionOf(this).tenant
    }
  } as never)
  app.decorateRequest('tenantDb', function (this: FastifyRequest) {
    return sessionOf(this).db()
  })
  app.decorateRequest('tenantTransaction', function <
    T
  >(this: FastifyRequest, work: (manager: EntityManager) => Promise<T>) {
    return sessionOf(this).transaction(work)
  })

  // Each route gets its own hook, made once: a wrong name of a source stops the start, and a request looks nothing up. It runs
  // after the application's own onRequest hooks, so that what they verified is there.
  const ours = new WeakSet<object>()
  app.addHook('onRoute', route => {
    const choice = route.config?.tenant
    const before = [route.onRequest ?? []].flat()
    // A HEAD route is made from its GET, hook included.
    if (choice === false || before.some(hook => ours.has(hook))) return
    const hook = nameTenant(choice === undefined ? everywhere : chooseSources(resolve, choice))
    ours.add(hook)
    route.onRequest = [...before, hook]
  })
  app.addHook('onResponse', (request, _reply, done) => {
    leave(request)
    done()
  })
  app.addHook('onRequestAbort', (request, done) => {
    leave(request)
    done()
  })
  app.addHook('onClose', () => tenants.close())

  function nameTenant(sources: Chosen): onRequestHookHandler {
    return (request, reply, done) => {
      const named = claimsOf(sources, factsOf(request))
      // Nearly every request is decided here, without a promise: its claims are read, and its tenant is known.
      const known = Array.isArray(named) ? peekAll(named) : undefined
      if (known && Array.isArray(named)) conclude(request, reply, named, known, done)
      else void decide(request, reply, named, done)
    }
  }

  function peekAll(claims: readonly Claim[]): Array<Route | undefined> | undefined {
    const routes: Array<Route | undefined> = []
    for (const { by, value } of claims) {
      const route = tenants.peek({ by, value })
      if (route === undefined) return undefined
      routes.push(route ?? undefined)
    }
    return routes
  }

  async function decide(
    request: FastifyRequest,
    reply: FastifyReply,
    named: ReturnType<typeof claimsOf>,
    done: (error?: Error) => void
  ): Promise<void> {
    try {
      const claims = await named
      if (claims instanceof Refusal) refuse(request, reply, claims)
      else {
        const routes = await Promise.all(claims.map(({ by, value }) => tenants.find({ by, value })))
        conclude(request, reply, claims, routes, done)
      }
    } catch (error) {
      answer(request, reply, asSaasctlError(error))
    }
  }

  function conclude(
    request: FastifyRequest,
    reply: FastifyReply,
    claims: readonly Claim[],
    routes: ReadonlyArray<Route | undefined>,
    done: (error?: Error) => void
  ): void {
    const route = agree(claims, routes)
    if (route instanceof Refusal) refuse(request, reply, route)
    else if (route.status !== 'active') void closed(request, reply, claims, route)
    else if (letIn(request, reply, route)) done()
  }

  /** Counts the request; false when it was answered because the plan allows no more just now. */
  function letIn(request: FastifyRequest, reply: FastifyReply, route: Route): boolean {
    const guard = guardOf(route)
    try {
      guard.enter()
    } catch (error) {
      answer(request, reply, asSaasctlError(error))
      return false
    }
    ;(request as Stateful)[STATE] = { session: tenants.session(route), guard }
    return true
  }

  /** Suspended or deleted: the one refusal, unless the caller has proven that it is the tenant's own. */
  async function closed(
    request: FastifyRequest,
    reply: FastifyReply,
    claims: readonly Claim[],
    route: Route
  ): Promise<void> {
    const refusal = new Refusal('unknown', undefined, `Tenant ${route.slug} is ${route.status}.`)
    const proven = claims.find(({ verified }) => verified)
    if (!onRefused || !proven) {
      refuse(request, reply, refusal)
      return
    }
    request.log.info({ tenantId: route.tenantId, reason: route.status }, 'refused')
    try {
      await onRefused(
        { tenant: tenants.session(route).tenant, status: route.status, identity: proven.identity },
        request,
        reply
      )
      if (!reply.sent) reply.code(404).send(notFound)
    } catch (error) {
      answer(request, reply, asSaasctlError(error))
    }
  }

  function refuse(request: FastifyRequest, reply: FastifyReply, refusal: Refusal): void {
    request.log.info({ reason: refusal.reason, source: refusal.source, detail: refusal.detail }, 'refused')
    if (refusal.status === 404) reply.code(404).send(notFound)
    else answer(request, reply, unavailable(refusal))
  }

  /** The tenant's own trouble, as 429 or 503 with the time to come again; what happened inside stays in the log. */
  function answer(request: FastifyRequest, reply: FastifyReply, error: SaasctlError): void {
    request.log.warn({ code: error.code, err: error.message }, 'not served')
    const { retryAfterSeconds } = (error.data ?? {}) as { retryAfterSeconds?: number }
    if (retryAfterSeconds !== undefined || error.retryable) reply.header('retry-after', String(retryAfterSeconds ?? 1))
    reply
      .code(error.status)
      .send({ statusCode: error.status, code: error.code, message: sentences[error.status] ?? 'Not served.' })
  }

  function guardOf(route: Route): Guard {
    const known = guards.get(route.tenantId)
    if (known) {
      known.limits = route.rules.requests
      return known
    }
    const guard = new Guard(route.rules.requests)
    guards.set(route.tenantId, guard)
    if (guards.size > GUARDS) forgetIdle()
    return guard
  }

  /** A tenant without requests under way loses nothing but the second's worth that it had saved up. */
  function forgetIdle(): void {
    for (const [tenantId, { running }] of guards) if (running === 0) guards.delete(tenantId)
  }

  function leave(request: FastifyRequest): void {
    const state = (request as Stateful)[STATE]
    if (!state) return
    ;(request as Stateful)[STATE] = null
    const left = state.session.end()
    if (left > 0) request.log.warn({ connections: left }, 'the handler did not await its database work; it was stopped')
    state.guard.leave()
  }
}

const sentences: Record<number, string> = {
  404: 'Not found.',
  429: 'Too many requests; come again after the time in Retry-After.',
  503: 'Not available just now; come again after the time in Retry-After.'
}

function unavailable(refusal: Refusal): SaasctlError {
  return new SaasctlError(refusal.status === 503 ? 'TENANT_DOWN' : 'FAILED', refusal.detail, {
    cause: refusal.cause,
    retryable: refusal.status === 503
  })
}

function sessionOf(request: FastifyRequest): TenantSession {
  const state = (request as Stateful)[STATE]
  if (state) return state.session
  throw new SaasctlError('TENANT_REFUSED', 'This request is for no tenant, or has ended.', {
    hint: 'Use request.tenant within the handler, on routes whose config does not say tenant: false.'
  })
}

/** The router as a Fastify plugin. It is not encapsulated: every route registered after it is for a tenant, unless it says not. */
export const tenantsPlugin = fp(plugin, { name: 'saasctl-router', fastify: '5.x' })
