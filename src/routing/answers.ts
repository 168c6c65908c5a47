import type { FastifyReply } from 'fastify'
import type { SaasctlError } from '../errors.js'

/** One answer for unknown, foreign, suspended and disagreeing: two would tell an outsider which tenants exist. */
const notFound = { statusCode: 404, code: 'TENANT_REFUSED', error: 'Not Found', message: 'Not found.' }

/** What went wrong is in the log: an outsider learns nothing from it, and an attacker might. */
const failed = { statusCode: 500, code: 'FAILED', error: 'Internal Server Error', message: 'Internal server error.' }

export function sendNotFound(reply: FastifyReply): void {
  reply.code(404).send(notFound)
}

export function sendFailed(reply: FastifyReply): void {
  reply.code(500).send(failed)
}

/**
 * Whether the error is the tenant's trouble and not the application's mistake: the plan's limits, its database, the server,
 * the way there, or that it was closed meanwhile.
 */
export const isTrouble = ({ code, status }: SaasctlError): boolean =>
  code === 'TENANT_REFUSED' || status === 429 || status > 500

/** Trouble for a client: 404, or 429 and 503 with the time to come again, our code and a sentence of the status. */
export function sendTrouble(reply: FastifyReply, { code, status, data }: SaasctlError): void {
  if (code === 'TENANT_REFUSED') {
    sendNotFound(reply)
    return
  }
  const { retryAfterSeconds = 1 } = (data ?? {}) as { retryAfterSeconds?: number }
  reply.header('retry-after', String(retryAfterSeconds))
  const [statusCode, error, message] =
    status === 429
      ? [429, 'Too Many Requests', 'Too many requests; come again after the time in Retry-After.']
      : [503, 'Service Unavailable', 'Not available just now; come again after the time in Retry-After.']
  reply.code(statusCode).send({ statusCode, code, error, message })
}
