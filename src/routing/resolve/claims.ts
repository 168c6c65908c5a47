import { quoteInput } from '../../names.js'
import type { Claim, Said, Source, SourceName } from './claim.js'
import { unusable } from './config.js'
import type { RequestFacts } from './facts.js'
import { Refusal } from './refusal.js'

/**
 * Which sources may name a route's tenant. Others are not asked. All that name one must name the same, and of those
 * that prove what they say (a token, a trusted caller) at least one must have, so that a token cannot be left out to be
 * believed by hostname alone: `['jwt', 'host']`. With `require` exactly these must have: `{ require: ['jwt', 'host']
 * }`, or nobody in particular: `{ allow: ['jwt', 'host'], require: [] }`.
 */
export type SourceChoice =
  | SourceName
  | readonly SourceName[]
  | { allow?: readonly SourceName[]; require: readonly SourceName[] }

/** A route's sources, chosen once when it is registered. */
export interface Chosen {
  readonly sources: readonly Source[]
  readonly require: readonly SourceName[]
  readonly proof: boolean
}

/** Without a choice all sources of the router may name the tenant. ROUTER_CONFIG for a name that no source has. */
export function chooseSources(sources: readonly Source[], choice?: SourceChoice): Chosen {
  const { allow, require } = parts(choice ?? sources.map(({ name }) => name))
  const names = [...allow, ...(require ?? [])]
  const unknown = names.filter(name => sources.every(source => source.name !== name))
  if (unknown.length > 0)
    throw unusable(...unknown.map(name => `No source of the router is called ${quoteInput(name)}.`))
  if (names.length === 0) throw unusable('No source may name the tenant, so no request could have one.')
  const chosen = sources.filter(({ name }) => names.includes(name))
  return {
    sources: chosen,
    require: require ?? [],
    proof: require === undefined && chosen.some(({ proves }) => proves)
  }
}

function parts(choice: SourceChoice): { allow: readonly SourceName[]; require?: readonly SourceName[] } {
  if (typeof choice === 'string') return { allow: [choice] }
  return 'require' in choice ? { allow: choice.allow ?? [], require: choice.require } : { allow: choice }
}

/**
 * What the request says about its tenant: one claim or more, or the refusal that ends it. A source that refuses ends it
 * also when another has named a tenant: a bad token next to a good hostname is no visitor. Synchronous unless a source
 * was not.
 */
export function claimsOf(chosen: Chosen, request: RequestFacts): Claim[] | Refusal | Promise<Claim[] | Refusal> {
  return ask(chosen, request, 0, [])
}

function ask(
  chosen: Chosen,
  request: RequestFacts,
  from: number,
  claims: Claim[]
): Claim[] | Refusal | Promise<Claim[] | Refusal> {
  for (let index = from; index < chosen.sources.length; index += 1) {
    const said = chosen.sources[index]?.claim(request)
    if (said instanceof Promise)
      return said.then(later => take(later, claims) ?? ask(chosen, request, index + 1, claims))
    const refusal = take(said, claims)
    if (refusal) return refusal
  }
  return missing(chosen, claims) ?? claims
}

function take(said: Said, claims: Claim[]): Refusal | undefined {
  if (said instanceof Refusal) return said
  if (said) claims.push(said)
  return undefined
}

function missing({ require, proof }: Chosen, claims: readonly Claim[]): Refusal | undefined {
  for (const name of require) {
    if (claims.every(({ source }) => source !== name))
      return new Refusal('absent', name, `The ${name} names no tenant.`)
  }
  if (claims.length === 0) return new Refusal('absent', undefined, 'The request names no tenant.')
  if (proof && claims.every(({ verified }) => !verified)) {
    return new Refusal('absent', undefined, 'The request names a tenant and proves nothing.')
  }
  return undefined
}
