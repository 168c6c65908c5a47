import { BlockList, isIP } from 'node:net'
import { quoteInput } from '../../names.js'
import { unusable } from './config.js'
import type { RequestFacts } from './facts.js'

/**
 * Who may name a tenant in a header: addresses and networks (`10.1.0.0/16`, `::1`) of the peer that holds the socket,
 * never of X-Forwarded-For; `mutual-tls`, any client whose certificate TLS has verified; or a test of the application's
 * own.
 */
export type TrustedCallers = 'mutual-tls' | readonly string[] | ((request: RequestFacts) => boolean)

/** ROUTER_CONFIG when nobody is named, or something that is no address. */
export function trust(callers: TrustedCallers): (request: RequestFacts) => boolean {
  if (callers === 'mutual-tls') return request => request.certified
  if (typeof callers === 'function') return callers
  const wrong = callers.filter(caller => !isNetwork(caller))
  if (wrong.length > 0)
    throw unusable(...wrong.map(caller => `fromHeader: ${quoteInput(caller)} is not an IP address or network.`))
  if (callers.length === 0) throw unusable('fromHeader: no caller is trusted, so the header could never name a tenant.')
  const networks = listOf(callers)
  return ({ peer }) => {
    const version = isIP(peer)
    return version !== 0 && networks.check(peer, family(version))
  }
}

const family = (version: number) => (version === 6 ? 'ipv6' : 'ipv4')

function isNetwork(text: string): boolean {
  const [address = '', bits, ...rest] = text.split('/')
  const version = isIP(address)
  if (version === 0 || address.includes('%') || rest.length > 0) return false
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (version === 6 ? 128 : 32))
}

function listOf(callers: readonly string[]): BlockList {
  const networks = new BlockList()
  for (const caller of callers) {
    const [address = '', bits] = caller.split('/')
    const version = family(isIP(address))
    if (bits === undefined) networks.addAddress(address, version)
    else networks.addSubnet(address, Number(bits), version)
  }
  return networks
}
