import { quoteInput } from '../../names.js'
import type { Claim, Source } from './claim.js'
import { unusable } from './config.js'
import { headerValues, type RequestFacts } from './facts.js'
import { Refusal } from './refusal.js'
import { tenantName } from './tenant-name.js'
import { type TrustedCallers, trust } from './trusted-callers.js'

export interface HeaderOptions {
  /** Only these callers are believed; of anybody else the header is refused, not ignored. */
  trusted: TrustedCallers
}

/** The tenant is the id or slug in a header that an internal caller sets, for example a gateway that has authenticated the user. */
export function fromHeader(name: string, { trusted }: HeaderOptions): Source {
  if (!/^[a-z0-9-]+$/i.test(name)) throw unusable(`fromHeader: ${quoteInput(name)} is not a header's name.`)
  const header = name.toLowerCase()
  const isTrusted = trust(trusted)

  function claim(request: RequestFacts): Claim | Refusal | undefined {
    const [value, ...more] = headerValues(request, header)
    if (value === undefined) return undefined
    try {
      if (isTrusted(request) !== true)
        return new Refusal('untrusted', 'header', `${header} came from ${quoteInput(request.peer)}.`)
    } catch (error) {
      return new Refusal('failed', 'header', `The test for who may send ${header} failed.`, error)
    }
    if (more.length > 0) return new Refusal('malformed', 'header', `The request has ${header} twice.`)
    const named = tenantName(value)
    if (named === undefined)
      return new Refusal('malformed', 'header', `${header} is ${quoteInput(value)}, no id or slug.`)
    return { ...named, source: 'header', verified: true }
  }

  return { name: 'header', proves: true, vary: header, claim }
}
