import { isIPv6 } from 'node:net'
import { quoteInput } from '../../names.js'
import type { SourceName } from './claim.js'
import { headerValues, type RequestFacts } from './facts.js'
import { Refusal } from './refusal.js'

const label = '[a-z0-9]+(?:-+[a-z0-9]+)*'
const HOST = new RegExp(`^(${label}(?:\\.${label})*)\\.?(?::(\\d{1,5}))?$`, 'i')
const IPV6 = /^\[([0-9a-f:.]{2,45})\](?::\d{1,5})?$/i
const longest = 253 + '.:65535'.length

/**
 * The hostname in a Host header: lower case, without port and without the one final dot that a full name may have. Empty for an
 * address, which names nobody. Undefined for all else: userinfo, lists, white space, percent signs, letters beyond ASCII (a
 * browser sends those as `xn--`), a port beyond 65535, more than 253 characters.
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
 * The hostname that a request was sent to, or a refusal. Refused whole: two Host headers, also equal ones (Node and Fastify take
 * the first, a proxy before them may take the last), a Host beside another `:authority`, and a target in absolute form, whose
 * host HTTP (RFC 9112 §3.2.2) puts above the header's and Fastify ignores.
 */
export function requestHostname(request: RequestFacts, source: SourceName): string | Refusal {
  if (!request.url.startsWith('/')) return new Refusal('malformed', source, 'The request target is not a path.')
  const hosts = headerValues(request, 'host')
  if (hosts.length > 1) return new Refusal('malformed', source, 'The request has two Host headers.')
  const [authority = hosts[0]] = headerValues(request, ':authority')
  if (hosts.length > 0 && authority !== hosts[0]) {
    return new Refusal('malformed', source, 'The request has a Host and another :authority.')
  }
  if (request.host === '') return ''
  const hostname = hostnameOf(request.host)
  return hostname ?? new Refusal('malformed', source, `${quoteInput(request.host)} is not a host.`)
}
