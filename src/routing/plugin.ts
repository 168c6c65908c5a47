import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { DataSource, EntityManager } from 'typeorm'
import { Door, type Refused } from './door.js'
import { ENTRY, entered, entryOf, leave, withoutTenant } from './entry.js'
import { endWithLastRequests } from './last-requests.js'
import { SecurityEvents } from './observe/events.js'
import { survivingForgottenAwaits } from './observe/forgotten.js'
import type { Identity, Source } from './resolve/claim.js'
import { chooseSources, type SourceChoice } from './resolve/claims.js'
import { safeErrorHandler } from './safe-errors.js'
import type { Tenant } from './tenant.js'
import type { Tenants } from './tenants.js'

export type { Refused } from './door.js'

declare module 'fastify' {
  interface FastifyInstance {
    /** The router's tenants, for what is no request: jobs, metrics, invalidation. */
    readonly tenants: Tenants
  }
  interface FastifyRequest {
    /** The tenant that this request is for. Reading it on a route that has none is an error, never a default tenant. */
    readonly tenant: Tenant
    /** Who sends it, as a verified token says; undefined when the tenant was named in another way. */
    readonly tenantIdentity: Identity | undefined
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
  /**
   * Answers a tenant's trouble with 503 and Retry-After, and a failed statement with a plain 500 where no error handler is
   * set. A route's own `errorHandler` goes first; false leaves all to the application, which then sees hosts and SQL. True.
   */
  safeErrors?: boolean
}

async function plugin(
  app: FastifyInstance,
  { tenants, resolve, onRefused, safeErrors = true }: PluginOptions
): Promise<void> {
  const everywhere = chooseSources(resolve)
  const events = new SecurityEvents(
    (action, payload) => tenants.event(action, payload),
    reason => app.log.warn({ reason }, 'a security event was not written')
  )
  const door = new Door({ tenants, onRefused, events })
  decorate(app, tenants)
  endWithLastRequests(app)

  // Each route gets its own hook, made once: a wrong name of a source stops the start, and a request looks nothing up. It runs
  // after the application's own onRequest hooks, so that what they verified is there.
  const ours = new WeakSet<object>()
  const onError = safeErrors ? safeErrorHandler(tenants) : undefined
  app.addHook('onRoute', route => {
    const choice = route.config?.tenant
    const before = [route.onRequest ?? []].flat()
    // A HEAD route is made from its GET, hook included.
    if (choice === false || before.some(hook => ours.has(hook))) return
    const sources = choice === undefined ? everywhere : chooseSources(resolve, choice)
    const hook = door.hook(sources, `${[route.method].flat().join(' ')} ${route.url}`)
    ours.add(hook)
    route.onRequest = [...before, hook]
    if (onError) route.errorHandler ??= onError
  })
  app.addHook('onResponse', (request, reply, done) => {
    const entry = entryOf(request)
    if (entry && !entry.over) tenants.observer.answered?.(entry.session.route, reply.statusCode, reply.elapsedTime)
    leave(request)
    done()
  })
  const stopSurviving = survivingForgottenAwaits(error =>
    app.log.error({ code: error.code, ...error.data }, 'database work that nobody awaited was stopped with its request')
  )
  app.addHook('onClose', async () => {
    await tenants.close()
    stopSurviving()
  })
}

function decorate(app: FastifyInstance, tenants: Tenants): void {
  app.decorate('tenants', tenants)
  app.decorateRequest(ENTRY, null)
  app.decorateRequest('tenant', {
    getter(this: FastifyRequest) {
      return entered(this).session.tenant
    }
  } as never)
  app.decorateRequest('tenantIdentity', {
    getter(this: FastifyRequest) {
      return entered(this).identity
    }
  } as never)
  // What gives a promise never throws beside it.
  app.decorateRequest('tenantDb', function (this: FastifyRequest) {
    return entryOf(this)?.session.db() ?? Promise.reject(withoutTenant())
  })
  app.decorateRequest('tenantTransaction', function <
    T
  >(this: FastifyRequest, work: (manager: EntityManager) => Promise<T>) {
    return entryOf(this)?.session.transaction(work) ?? Promise.reject(withoutTenant())
  })
}

/** The router as a Fastify plugin. It is not encapsulated: every route registered after it is for a tenant, unless it says not. */
export const tenantsPlugin = fp(plugin, { name: 'saasctl-router', fastify: '5.x' })
