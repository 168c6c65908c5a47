import type { FastifyInstance } from 'fastify'

/**
 * Lets go of each connection once its last request is answered. Fastify closes those that are idle when it begins to close, and
 * waits for the others' keep-alive to run out, 72 s by default: longer than whoever sent SIGTERM waits.
 */
export function endWithLastRequests(app: FastifyInstance): void {
  let closing = false
  app.addHook('preClose', done => {
    closing = true
    done()
  })
  app.addHook('onResponse', (_request, _reply, done) => {
    // HTTP/2 has no such thing, nor needs it.
    if (closing) setImmediate(() => 'closeIdleConnections' in app.server && app.server.closeIdleConnections())
    done()
  })
}
