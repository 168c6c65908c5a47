import type { Attributes, SpanOptions } from '@opentelemetry/api'
import type { Route } from '../route.js'
import type { Observer } from './observer.js'

export interface TracingOptions {
  /** Each statement's text too, at most 2,000 characters of it: placeholders, and whatever was written into it. False. */
  statements?: boolean
}

/** What the door asks of tracing: the trace that a request belongs to, for its log lines. */
export interface Tracing extends Observer {
  traceId(): string | undefined
}

const SHOWN = 2_000

/**
 * Spans through OpenTelemetry's API, children of whatever span is active: for the search of a request's tenant, for each
 * wait for a connection, and for each statement. They are made when it is over, so that they cost 0.05 µs each without a
 * provider. Loads the API.
 */
export async function startTracing(
  { statements = false }: TracingOptions,
  systemOf: (route: Route) => string
): Promise<Tracing> {
  const { isSpanContextValid, SpanKind, SpanStatusCode, trace } = await import('@opentelemetry/api')
  const tracer = trace.getTracer('saasctl')
  const over = (name: string, milliseconds: number, options: SpanOptions) => {
    const endTime = Date.now()
    return { endTime, span: tracer.startSpan(name, { ...options, startTime: endTime - milliseconds }) }
  }
  const attributesOf = (route: Route | undefined): Attributes => (route ? { 'saasctl.tenant.id': route.tenantId } : {})
  return {
    traceId: () => {
      const context = trace.getActiveSpan()?.spanContext()
      return context && isSpanContextValid(context) ? context.traceId : undefined
    },
    resolved: (milliseconds, route) => {
      const attributes = attributesOf(route)
      const { span, endTime } = over('resolve tenant', milliseconds, { attributes })
      span.end(endTime)
      trace.getActiveSpan()?.setAttributes(attributes)
    },
    waited: (route, milliseconds) => {
      const { span, endTime } = over('wait for a connection', milliseconds, { attributes: attributesOf(route) })
      span.end(endTime)
    },
    queried: (route, milliseconds, failed, statement) => {
      const { span, endTime } = over('tenant query', milliseconds, {
        kind: SpanKind.CLIENT,
        attributes: {
          ...attributesOf(route),
          'db.system.name': systemOf(route),
          'db.namespace': route.database,
          ...(statements && statement !== undefined && { 'db.query.text': statement.slice(0, SHOWN) })
        }
      })
      if (failed) span.setStatus({ code: SpanStatusCode.ERROR })
      span.end(endTime)
    }
  }
}
