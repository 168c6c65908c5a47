import type { FastifyBaseLogger, FastifyReply, FastifyRequest, FastifyServerOptions } from 'fastify'
import { isFromDatabase } from '../database-errors.js'
import type { Route } from '../route.js'

/** Never in a log, wherever somebody logs a request or an object that holds one. */
const secrets = ['authorization', 'cookie', 'set-cookie', 'proxy-authorization', 'x-api-key']
const redacted = [
  ...secrets.flatMap(name => [`req.headers["${name}"]`, `headers["${name}"]`, `res.headers["${name}"]`]),
  ...['password', 'token', 'secret'].flatMap(name => [name, `*.${name}`])
]

/**
 * Options for `Fastify(...)`: one JSON object a line with `timestamp level service message`, and on a tenant's requests
 * `tenantId userId requestId traceId`. Secrets are blanked, and a database's error is logged without statement or values.
 */
export function logging(
  service: string,
  { level = 'info' } = {}
): Pick<FastifyServerOptions, 'logger' | 'childLoggerFactory'> {
  return {
    // Fastify calls it reqId, and its own way to another name is on its way out.
    childLoggerFactory: (logger, { reqId: requestId, ...bindings }, options) =>
      logger.child({ requestId, ...bindings }, options),
    logger: {
      level,
      base: { service },
      messageKey: 'message',
      timestamp: () => `,"timestamp":"${new Date().toISOString()}"`,
      formatters: { level: label => ({ level: label }) },
      redact: { paths: redacted, censor: '[secret]' },
      serializers: { err: safeError }
    }
  }
}

/** Type, code, message and stack; a database's error says what it met in the row, and carries statement and parameters. */
function safeError(error: Error & { code?: unknown }) {
  const fromDatabase = isFromDatabase(error) || 'query' in error
  const stack = error.stack ?? ''
  return {
    type: error.constructor.name,
    ...(typeof error.code === 'string' && { code: error.code }),
    message: fromDatabase ? 'A statement failed.' : error.message,
    stack: fromDatabase ? stack.slice(Math.max(0, stack.indexOf('\n    at '))) : stack
  }
}

/** From a W3C `traceparent` header; undefined when there is none of its form. */
function traceIdOf(header: unknown): string | undefined {
  if (typeof header !== 'string') return undefined
  const [, traceId] = /^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}$/.exec(header) ?? []
  return traceId === '0'.repeat(32) ? undefined : traceId
}

/** From here on every line of the request says whose it is. Costs nothing where nothing is logged. */
export function bindLog(
  request: FastifyRequest,
  reply: FastifyReply,
  route: Route,
  userId: string | undefined,
  activeTraceId: () => string | undefined
): void {
  const { log } = request
  // The logger of an application that has none cannot be told from another by its type.
  if (!('bindings' in log)) return
  // Node makes `headers` when it is first read, which costs as much as finding the tenant.
  const traceId = activeTraceId() ?? traceIdOf(request.headers['traceparent'])
  const whose = {
    tenantId: route.tenantId,
    ...(userId !== undefined && { userId }),
    ...(traceId !== undefined && { traceId })
  }
  // The request's own logger may as well say it from now on: another child of a child costs pino 4 µs, this 0.7.
  if (isItsOwn(log, request)) log.setBindings(whose)
  else request.log = reply.log = log.child(whose)
}

/** An application may give its requests a logger that they share. */
function isItsOwn(log: FastifyBaseLogger, request: FastifyRequest): log is FastifyBaseLogger & SettableLogger {
  return log !== request.server.log && 'setBindings' in log
}

interface SettableLogger {
  setBindings(bindings: object): void
}
