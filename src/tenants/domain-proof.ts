import { SaasctlError } from '../errors.js'

export interface Resolving {
  /** Name servers to ask, as `1.1.1.1` or `127.0.0.1:5353`; empty for those of the machine. */
  servers: readonly string[]
  timeoutMs: number
}

/** The TXT record that only the owner of the domain can set. A name of its own, so that others' records do not matter. */
export function challengeOf(hostname: string, proof: string): { name: string; type: 'TXT'; value: string } {
  return { name: `_saasctl-challenge.${hostname}`, type: 'TXT', value: `saasctl-verify=${proof}` }
}

/** Answers of the DNS that say there is no such record, in Node's words. */
const absent = new Set(['ENOTFOUND', 'ENODATA', 'NXDOMAIN'])

/** Returns when the record is there, among others or alone. DOMAIN_UNPROVEN otherwise; retryable when nobody could say. */
export async function lookForProof(hostname: string, proof: string, { servers, timeoutMs }: Resolving): Promise<void> {
  const { Resolver } = await import('node:dns/promises')
  const resolver = new Resolver({ timeout: timeoutMs, tries: 2 })
  if (servers.length > 0) resolver.setServers(servers)
  const { name, value } = challengeOf(hostname, proof)
  let records: string[][]
  try {
    records = await resolver.resolveTxt(name)
  } catch (error) {
    const { code = 'no answer' } = error as { code?: string }
    if (absent.has(code)) throw unproven(hostname, `there is no TXT record ${name}`)
    throw new SaasctlError('DOMAIN_UNPROVEN', `${hostname} could not be looked up: the name servers gave ${code}.`, {
      hint: 'Try again in a minute.',
      retryable: true,
      cause: error
    })
  }
  // One record may come in several strings of at most 255 bytes each.
  const said = records.map(strings => strings.join('').trim())
  if (!said.includes(value)) throw unproven(hostname, `${name} is set, and says something else`)
}

export function unproven(hostname: string, found: string): SaasctlError {
  return new SaasctlError('DOMAIN_UNPROVEN', `${hostname} is not proven: ${found}.`, {
    hint: 'Set the TXT record that "saasctl tenant domain list" shows; name servers may take minutes to tell of it.'
  })
}
