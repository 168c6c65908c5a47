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
    return headerAt(this, 'x-forwarded-host') !== -1 ? this.request.host : undefined
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
export function headerValues(facts: RequestFacts, lowerCaseName: string): string[] {
  const values: string[] = []
  for (let at = headerAt(facts, lowerCaseName); at !== -1; at = headerAt(facts, lowerCaseName, at + 1))
    values.push(facts.rawHeaders[at] ?? '')
  return values
}

/** Where in `rawHeaders` the next value of a header is, from an index on that is a name's; -1 when there is none. */
export function headerAt({ rawHeaders }: RequestFacts, lowerCaseName: string, from = 0): number {
  for (let index = from; index < rawHeaders.length; index += 2) {
    if (isNamed(rawHeaders[index], lowerCaseName)) return index + 1
  }
  return -1
}

/** Without a copy in lower case, once for each header of each request. Bit 32 is all that tells a letter from its capital. */
function isNamed(name: string | undefined, lowerCaseName: string): boolean {
  if (name?.length !== lowerCaseName.length) return false
  for (let index = 0; index < lowerCaseName.length; index += 1) {
    if ((name.charCodeAt(index) | 32) !== lowerCaseName.charCodeAt(index)) return false
  }
  return true
}
