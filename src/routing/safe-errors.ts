import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { SaasctlError } from '../errors.js'
import { sendError } from './answers.js'
import type { TenantSession } from './session.js'
import type { Tenants } from './tenants.js'

/** Fastify's own, which answers with the error's message: of a database's error that names tables, columns and values. */
const FASTIFY_DEFAULT = 'defaultErrorHandler'

/**
 * The error handler of a tenant's route that has none: a server or way that failed is 503 for this tenant with Retry-After,
 * and a failed statement of the application's is a plain 500. Whatever else it is, and every statement's error in an
 * application with an error handler of its own, is left to the handlers around it.
 */
export function safeErrorHandler(tenants: Tenants, sessionOf: (request: FastifyRequest) => TenantSession | undefined) {
  return async (error: FastifyError, request: FastifyRequest, reply: FastifyReply): Promise<void> => {
    const session = sessionOf(request)
    const ours = session && (await tenants.explain(session.route, error))
    if (ours) {
      // Its own words may name a host or a database; its code says what an operator needs.
      request.log.error({ code: ours.code, tenantId: session.route.tenantId }, 'not served')
      tenants.observer.turnedAway?.(session.route, ours.code)
      return sendError(reply, ours)
    }
    if (isFromDatabase(error) && request.server.errorHandler.name === FASTIFY_DEFAULT) {
      request.log.error({ code: sqlStateOf(error), tenantId: session?.route.tenantId }, 'a statement failed')
      return sendError(reply, new SaasctlError('FAILED', 'A statement failed.'))
    }
    throw error
  }
}

/** TypeORM's QueryFailedError and its kind, told by what they carry: the class is another in every copy of TypeORM. */
const isFromDatabase = (error: object) => 'driverError' in error

function sqlStateOf(error: object): string | undefined {
  const { driverError } = error as { driverError?: { code?: unknown } }
  return typeof driverError?.code === 'string' ? driverError.code : undefined
}
