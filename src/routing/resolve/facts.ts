import type { FastifyRequest, RawServerBase, RouteGenericInterface } from 'fastify'

/** Of an application on HTTP/1 or HTTP/2. */
export type AnyRequest = FastifyRequest<RouteGenericInterface, RawServerBase>

/** All that sources may know of a request. */
export interface RequestFacts {
  /** As they came: name, value, name, value. Duplicates are seen here and nowhere else. */
  readonly rawHeaders: readonly string[]
  /** When the request has X-Forwarded-Host: the host that counts after the application's `trustProxy`, unparsed. */
  readonly forwardedHost: string | undefined
  /** The request target as the client sent it, before `rewriteUrl`. */
  readonly url: string
  /** Address of whoever holds the socket, never from a header; empty for a Unix socket. */
  readonly peer: string
  /** TLS has verified the peer's client certificate. */
  readonly certified: boolean
  /** What an authentication hook left in `request.user`. */
  readonly user: unknown
  /** For the application's own sources. */
  readonly request: AnyRequest
}

/** Reads nothing until it is asked. */
export function factsOf(request: AnyRequest): RequestFacts {
  return new FastifyFacts(request)
}

class FastifyFacts implements RequestFacts {
  readonly request: AnyRequest

  constructor(request: AnyRequest) {
    this.request = request
  }

  get rawHeaders(): readonly string[] {
    return this.request.raw.rawHeaders
  }

  // Fastify believes X-Forwarded-Host only of a peer that trustProxy names (before 5.8.3 of anybody), and then its last
  // entry.
  get forwardedHost(): string | undefined {
    return hasHeader(this, 'x-forwarded-host') ? this.request.host : undefined
  }

  get url(): string {
    // Not `request.originalUrl`, which keeps its answer in a new property of every request.
    const { raw } = this.request
    return 'originalUrl' in raw && typeof raw.originalUrl === 'string' ? raw.originalUrl : (raw.url ?? '')
  }

  get peer(): string {
    return this.request.raw.socket.remoteAddress ?? ''
  }

  get certified(): boolean {
    const { socket } = this.request.raw
    return 'authorized' in socket && socket.authorized === true
  }

  get user(): unknown {
    return 'user' in this.request ? this.request.user : undefined
  }
}

/** Every value that the request has for a header, in order. Node's `headers` joins them, or keeps the first, by name. */
export function headerValues({ rawHeaders }: RequestFacts, lowerCaseName: string): string[] {
  const values: string[] = []
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    if (isNamed(rawHeaders[index], lowerCaseName)) values.push(rawHeaders[index + 1] ?? '')
  }
  return values
}

export function hasHeader({ rawHeaders }: RequestFacts, lowerCaseName: string): boolean {
  for (let index = 0; index < rawHeaders.length; index += 2) {
    if (isNamed(rawHeaders[index], lowerCaseName)) return true
  }
  return false
}

function isNamed(name: string | undefined, lowerCaseName: string): boolean {
  return name?.length === lowerCaseName.length && name.toLowerCase() === lowerCaseName
}
