import { SaasctlError } from '../errors.js'
import { challengePrefix } from '../names.js'

export interface Resolving {
  /** Name servers to ask, as `1.1.1.1` or `127.0.0.1:5353`; empty for those of the machine. */
  servers: readonly string[]
  timeoutMs: number
}

/** The TXT record that only the owner of the domain can set. A name of its own, so that others' records do not matter. */
export interface Challenge {
  name: string
  type: 'TXT'
  value: string
}

export function challengeOf(hostname: string, proof: string): Challenge {
  return { name: `${challengePrefix}${hostname}`, type: 'TXT', value: `saasctl-verify=${proof}` }
}

/** Answers of the DNS that say there is no such record, in Node's words. */
const absent = new Set(['ENOTFOUND', 'ENODATA'])

/**
 * Looks for the record among all that are there. Gives what was found instead of it, for a sentence; undefined when it is
 * there. DOMAIN_UNPROVEN, retryable, when no name server could say.
 */
export async function missingProof(
  { name, value }: Challenge,
  { servers, timeoutMs }: Resolving
): Promise<string | undefined> {
  const { Resolver } = await import('node:dns/promises')
  const resolver = new Resolver({ timeout: timeoutMs, tries: 2 })
  if (servers.length > 0) resolver.setServers(servers)
  try {
    const records = await resolver.resolveTxt(name)
    // One record may come in several strings of at most 255 bytes each.
    const said = records.map(strings => strings.join('').trim())
    return said.includes(value) ? undefined : `${name} is set, and says something else`
  } catch (error) {
    const { code = 'nothing' } = error as { code?: string }
    if (absent.has(code)) return `there is no TXT record ${name}`
    const answer = code === 'ETIMEOUT' ? 'did not answer in time' : `answered ${code.replace(/^E/, '')}`
    throw new SaasctlError('DOMAIN_UNPROVEN', `${name} could not be looked up: the name servers ${answer}.`, {
      hint: 'Try again in a minute, or name other servers in SAASCTL_DNS_SERVERS.',
      retryable: true,
      cause: error
    })
  }
}
