import { quoteInput } from '../../names.js'
import type { Claim, Source } from './claim.js'
import { unusable } from './config.js'
import type { RequestFacts } from './facts.js'
import { Refusal } from './refusal.js'
import { tenantName } from './tenant-name.js'

/** What some proxy or file system reads as "up", and others as a name: `..`, also half encoded, with either slash. */
const CLIMBS = /(?:\/|\\|%2f|%5c)(?:\.|%2e){1,2}(?:\/|\\|%2f|%5c|$)/i
const FORBIDDEN = /\\|%00|%5c|\p{Cc}/iu

/**
 * The tenant is the id or slug after a prefix: `/t/:tenant`. A name never needs percent-encoding, so an encoded one is
 * refused; so is a path that climbs (`..`), because a proxy in front may have read it otherwise. Other paths say
 * nothing. ROUTER_CONFIG when the pattern is not a fixed prefix that ends with one parameter.
 */
export function fromPath(pattern: string): Source {
  const prefix = prefixOf(pattern)

  function claim({ url }: RequestFacts): Claim | Refusal | undefined {
    if (!url.startsWith('/')) return new Refusal('malformed', 'path', 'The request target is not a path.')
    if (!url.startsWith(prefix)) return undefined
    const path = url.slice(0, endOf(url, /[?#]/))
    const segment = path.slice(prefix.length, prefix.length + endOf(path.slice(prefix.length), /\//))
    const named = CLIMBS.test(path) || FORBIDDEN.test(path) ? undefined : tenantName(segment)
    if (named === undefined)
      return new Refusal('malformed', 'path', `${quoteInput(path)} names no tenant after ${prefix}.`)
    return { ...named, source: 'path', verified: false }
  }

  return { name: 'path', proves: false, claim }
}

function prefixOf(pattern: string): string {
  const [, prefix] = /^((?:\/[a-z0-9_-]+)*\/):[a-z0-9_]+$/i.exec(pattern) ?? []
  if (prefix === undefined) throw unusable(`fromPath: ${quoteInput(pattern)} is not a pattern like "/t/:tenant".`)
  return prefix
}

function endOf(text: string, mark: RegExp): number {
  const at = text.search(mark)
  return at === -1 ? text.length : at
}
