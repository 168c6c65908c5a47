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
 * wait for a connection, and for each statement. They are made when it is over. Loads the API; until somebody has registered
 * an SDK each costs a look at that, where a span that nobody records would cost 1.5 µs.
 */
export async function startTracing(
  { statements = false }: TracingOptions,
  systemOf: (route: Route) => string
): Promise<Tracing> {
  const { isSpanContextValid, ProxyTracerProvider, SpanKind, SpanStatusCode, trace } = await import(
    '@opentelemetry/api'
  )
  const tracer = trace.getTracer('saasctl')
  let registered = false
  const isRegistered = () => {
    const provider = trace.getTracerProvider()
    registered ||= !(provider instanceof ProxyTracerProvider) || provider.getDelegateTracer('saasctl') !== undefined
    return registered
  }
  const tell = (name: string, milliseconds: number, options: SpanOptions, failed = false) => {
    const endTime = Date.now()
    const span = tracer.startSpan(name, { ...options, startTime: endTime - milliseconds })
    if (failed) span.setStatus({ code: SpanStatusCode.ERROR })
    span.end(endTime)
  }
  const attributesOf = (route: Route | undefined): Attributes => (route ? { 'saasctl.tenant.id': route.tenantId } : {})
  return {
    traceId: () => {
      const context = trace.getActiveSpan()?.spanContext()
      return context && isSpanContextValid(context) ? context.traceId : undefined
    },
    resolved: (milliseconds, route) => {
      if (!isRegistered()) return
      const attributes = attributesOf(route)
      tell('resolve tenant', milliseconds, { attributes })
      trace.getActiveSpan()?.setAttributes(attributes)
    },
    waited: (route, milliseconds) => {
      if (isRegistered()) tell('wait for a connection', milliseconds, { attributes: attributesOf(route) })
    },
    queried: (route, milliseconds, failed, statement) => {
      if (!isRegistered()) return
      const attributes = attributesOf(route)
      attributes['db.system.name'] = systemOf(route)
      attributes['db.namespace'] = route.database
      if (statements && statement !== undefined) attributes['db.query.text'] = statement.slice(0, SHOWN)
      tell('tenant query', milliseconds, { kind: SpanKind.CLIENT, attributes }, failed)
    }
  }
}
