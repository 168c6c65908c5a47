import { quoteInput } from '../../names.js'
import type { Source } from './claim.js'
import { unusable } from './config.js'
import { hostnameOf, hostSource } from './host.js'
import { Refusal } from './refusal.js'
import { isSlug } from './tenant-name.js'

export interface SubdomainOptions {
  /** Labels under the base that are the product's own and name no tenant. `api`, `app` and `www` when not given. */
  except?: readonly string[]
}

/**
 * The tenant is the one label before `base`: `acme.app.example`. The base itself, hosts of the product's own, addresses
 * and hosts elsewhere say nothing; whatever else stands under the base is refused: two labels, `xn--` names, what is no
 * slug. Upper case, a port and one final dot are normalised. X-Forwarded-Host counts as the application's `trustProxy`
 * says. ROUTER_CONFIG when `base` is not a hostname.
 */
export function fromSubdomain(base: string, { except = ['api', 'app', 'www'] }: SubdomainOptions = {}): Source {
  if (hostnameOf(base) !== base || base === '') {
    throw unusable(`fromSubdomain: ${quoteInput(base)} is not a hostname in lower case, as "app.example".`)
  }
  const suffix = `.${base}`
  const own = new Set(except)

  return hostSource(hostname => {
    if (!hostname.endsWith(suffix)) return undefined
    const label = hostname.slice(0, -suffix.length)
    if (own.has(label)) return undefined
    if (isSlug(label)) return { by: 'slug', value: label, source: 'host', verified: false }
    return new Refusal('malformed', 'host', `${quoteInput(hostname)} has no tenant's slug before ${base}.`)
  })
}
