import type { FastifyReply } from 'fastify'
import type { SaasctlError } from '../errors.js'

/** One answer for unknown, foreign, suspended and disagreeing: two would tell an outsider which tenants exist. */
export const notFound = { statusCode: 404, code: 'TENANT_REFUSED', error: 'Not Found', message: 'Not found.' }

const sentences: Record<number, string> = {
  404: 'Not found.',
  429: 'Too many requests; come again after the time in Retry-After.',
  503: 'Not available just now; come again after the time in Retry-After.'
}

/** An error of ours for a client: its status, its code and a sentence of the status; what happened inside stays inside. */
export function sendError(reply: FastifyReply, { status, code, data, retryable }: SaasctlError): void {
  const { retryAfterSeconds } = (data ?? {}) as { retryAfterSeconds?: number }
  if (retryAfterSeconds !== undefined || retryable) reply.header('retry-after', String(retryAfterSeconds ?? 1))
  const message = sentences[status]
  // A mistake in the application's code, as a feature that no plan has, is not the client's.
  const statusCode = message === undefined && status < 500 ? 500 : status
  reply.code(statusCode).send({ statusCode, code, message: message ?? 'Internal server error.' })
}
