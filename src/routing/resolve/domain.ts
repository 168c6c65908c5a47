import { quoteInput } from '../../names.js'
import type { Source } from './claim.js'
import { unusable } from './config.js'
import { hostnameOf, hostSource } from './host.js'
import { Refusal } from './refusal.js'

export interface DomainOptions {
  /** The product's own hosts: these names and all below them are no tenant's domain. */
  except: readonly string[]
}

/**
 * The tenant is the owner of the hostname: `billing.acme.example`. Every name of two labels or more outside `except` is
 * a claim, for the lookup to find among the domains whose ownership was proven. ROUTER_CONFIG when `except` holds what
 * is not a hostname.
 */
export function fromDomain({ except }: DomainOptions): Source {
  const wrong = except.filter(own => hostnameOf(own) !== own || own === '')
  if (wrong.length > 0)
    throw unusable(...wrong.map(own => `fromDomain: ${quoteInput(own)} is not a hostname in lower case.`))

  return hostSource(hostname => {
    const isOwn = except.some(own => hostname === own || hostname.endsWith(`.${own}`))
    if (isOwn || !hostname.includes('.')) return undefined
    if (hostname.split('.').some(label => label.length > 63)) {
      return new Refusal('malformed', 'host', `${quoteInput(hostname)} has a label of more than 63 characters.`)
    }
    return { by: 'hostname', value: hostname, source: 'host', verified: false }
  })
}
