import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { SaasctlError } from '../errors.js'
import { isTrouble, sendFailed, sendTrouble } from './answers.js'
import { isFromDatabase, sqlStateOf } from './database-errors.js'
import { entryOf } from './entry.js'
import type { Tenants } from './tenants.js'

/** Fastify's own, which answers with the error's message: of a database's error that names tables, columns and values. */
const FASTIFY_DEFAULT = 'defaultErrorHandler'

/**
 * The error handler of a tenant's route that has none: a server or way that failed is 503 for this tenant with Retry-After,
 * and a failed statement of the application's is a plain 500. Whatever else it is, and every statement's error in an
 * application with an error handler of its own, is left to the handlers around it.
 */
export function safeErrorHandler(tenants: Tenants) {
  return async (error: FastifyError, request: FastifyRequest, reply: FastifyReply): Promise<void> => {
    const route = entryOf(request)?.session.route
    const ours = error instanceof SaasctlError ? error : route && (await tenants.explain(route, error))
    if (ours && isTrouble(ours)) {
      request.log.error(facts(ours, error), 'not served')
      if (route) tenants.observer.turnedAway?.(route, ours.code)
      return sendTrouble(reply, ours)
    }
    if ((ours || isFromDatabase(error)) && request.server.errorHandler.name === FASTIFY_DEFAULT) {
      request.log.error(facts(ours, error), ours ? 'the request failed' : 'a statement failed')
      return sendFailed(reply)
    }
    throw error
  }
}

/** For the log. The words of either may name a host, a database or a value, so they stay out of it. */
function facts(ours: SaasctlError | undefined, thrown: unknown) {
  const { cause } = ours ?? {}
  const sqlState = thrown instanceof SaasctlError ? undefined : sqlStateOf(thrown)
  return {
    ...(ours && { code: ours.code }),
    ...(ours?.data?.['where'] !== undefined && { where: ours.data['where'] }),
    ...(cause instanceof SaasctlError && { cause: cause.code }),
    ...(sqlState !== undefined && { sqlState })
  }
}
