import { isIPv6 } from 'node:net'
import QuickLRU from 'quick-lru'
import { quoteInput } from '../../names.js'
import type { Claim, Source } from './claim.js'
import { headerAt, headerValues, type RequestFacts } from './facts.js'
import { Refusal } from './refusal.js'

const label = '[a-z0-9]+(?:-+[a-z0-9]+)*'
const HOST = new RegExp(`^(${label}(?:\\.${label})*)\\.?(?::(\\d{1,5}))?$`, 'i')
const IPV6 = /^\[([0-9a-f:.]{2,45})\](?::\d{1,5})?$/i
const longest = 253 + '.:65535'.length

/**
 * The hostname in a Host header: lower case, without port and without the one final dot that a full name may have.
 * Empty for an address, which names nobody. Undefined for all else: userinfo, lists, white space, percent signs,
 * letters beyond ASCII (a browser sends those as `xn--`), a port beyond 65535, more than 253 characters.
 */
export function hostnameOf(host: string): string | undefined {
  if (host.length > longest) return undefined
  const [, name, port] = HOST.exec(host) ?? []
  if (name === undefined) return isAddress(host) ? '' : undefined
  if (name.length > 253 || (port !== undefined && Number(port) > 65535)) return undefined
  const hostname = name.toLowerCase()
  // A last label of digits only makes it an IPv4 address to every resolver (WHATWG URL, "ends in a number").
  return /(?:^|\.)\d+$/.test(hostname) ? '' : hostname
}

function isAddress(host: string): boolean {
  const [, address] = IPV6.exec(host) ?? []
  return address !== undefined && isIPv6(address)
}

/**
 * A source that reads the hostname; empty, and not asked, when the request has none or an address. Good claims are
 * remembered by the header's text: parsing costs three times as much as all else.
 */
export function hostSource(read: (hostname: string) => Claim | Refusal | undefined): Source {
  const claims = new QuickLRU<string, Claim>({ maxSize: 5000 })

  function claim(request: RequestFacts): Claim | Refusal | undefined {
    const host = hostOf(request)
    if (typeof host !== 'string') return host
    const known = claims.get(host)
    if (known) return known
    const hostname = hostnameOf(host)
    if (hostname === undefined) return new Refusal('malformed', 'host', `${quoteInput(host)} is not a host.`)
    const said = hostname === '' ? undefined : read(hostname)
    if (said && !(said instanceof Refusal)) claims.set(host, Object.freeze(said))
    return said
  }

  return { name: 'host', proves: false, claim }
}

/**
 * The one host that a request was sent to. Refused whole: two Host headers, also equal ones (Node and Fastify take the
 * first, a proxy before them may take the last), a Host beside another `:authority`, and a target in absolute form,
 * whose host HTTP (RFC 9112 §3.2.2) puts above the header's and Fastify ignores.
 */
function hostOf(request: RequestFacts): string | Refusal | undefined {
  if (!request.url.startsWith('/')) return new Refusal('malformed', 'host', 'The request target is not a path.')
  const at = headerAt(request, 'host')
  const host = request.rawHeaders[at]
  if (at !== -1 && headerAt(request, 'host', at + 1) !== -1)
    return new Refusal('malformed', 'host', 'The request has two Host headers.')
  const authority = request.rawHeaders[0]?.startsWith(':') ? headerValues(request, ':authority')[0] : undefined
  if (host !== undefined && authority !== undefined && host !== authority) {
    return new Refusal('malformed', 'host', 'The request has a Host and another :authority.')
  }
  return (request.forwardedHost ?? host ?? authority) || undefined
}
