import type { Route } from '../route.js'
import type { Observer } from './observer.js'

/** What the door asks of tracing: the trace that a request belongs to, for its log lines. */
export interface Tracing extends Observer {
  traceId(): string | undefined
}

/**
 * Spans through OpenTelemetry's API: one per statement and one per wait for a connection, children of whatever span is
 * active. Loads the API; without a provider it makes nothing. A statement's text is never part of it: it may hold data.
 */
export async function startTracing(systemOf: (route: Route) => string): Promise<Tracing> {
  const { context, SpanKind, SpanStatusCode, trace } = await import('@opentelemetry/api')
  const tracer = trace.getTracer('saasctl')
  return {
    traceId: () => trace.getSpan(context.active())?.spanContext().traceId,
    queried: (route, milliseconds, failed) => {
      const endTime = Date.now()
      const span = tracer.startSpan('tenant query', {
        kind: SpanKind.CLIENT,
        startTime: endTime - milliseconds,
        attributes: {
          'db.system.name': systemOf(route),
          'db.namespace': route.database,
          'saasctl.tenant.id': route.tenantId
        }
      })
      if (failed) span.setStatus({ code: SpanStatusCode.ERROR })
      span.end(endTime)
    },
    waited: (milliseconds, slug) => {
      const endTime = Date.now()
      tracer
        .startSpan('wait for a connection', {
          startTime: endTime - milliseconds,
          attributes: { 'saasctl.tenant.slug': slug }
        })
        .end(endTime)
    },
    answered: route => {
      trace.getSpan(context.active())?.setAttribute('saasctl.tenant.id', route.tenantId)
    }
  }
}
