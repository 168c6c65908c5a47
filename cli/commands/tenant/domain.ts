import type { Command } from 'commander'
import type { TenantDomain } from '../../../src/tenants/domains.js'
import { verb } from '../../help.js'
import { type Session, withSaasctl } from '../../session.js'

export function addDomain(noun: Command): void {
  const domain = noun
    .command('domain')
    .alias('domains')
    .description('Domains of a tenant’s own; one routes once it is proven')
  verb(domain, 'add <slug> <domain>', 'Add a domain, and print the DNS record that proves it', [
    'tenant domain add acme billing.acme.example'
  ]).action(withSaasctl(add))
  verb(domain, 'verify <slug> <domain>', 'Look for the DNS record; from then on the domain routes', [
    'tenant domain verify acme billing.acme.example'
  ]).action(withSaasctl(verify))
  verb(domain, 'list <slug>', 'List a tenant’s domains', ['tenant domain list acme'])
    .alias('ls')
    .action(withSaasctl(list))
  verb(domain, 'remove <slug> <domain>', 'Stop routing by a domain', ['tenant domain remove acme billing.acme.example'])
    .alias('rm')
    .action(withSaasctl(remove))
}

async function add(session: Session, _options: object, slug: string, domain: string): Promise<void> {
  const { addDomain } = await import('../../../src/tenants/domains.js')
  const added = await addDomain(session.saasctl, slug, domain)
  printOne(session, added)
  if (added.verifiedAt) session.progress.notice(`${added.hostname} is proven already.`)
  else {
    session.progress.notice(`Set this record at the domain's name servers: ${lineOf(added)}`)
    session.progress.next(`Then run "saasctl tenant domain verify ${slug} ${added.hostname}".`)
  }
}

async function verify(session: Session, _options: object, slug: string, domain: string): Promise<void> {
  const { verifyDomain } = await import('../../../src/tenants/domains.js')
  const { config } = session.saasctl
  const resolving = { servers: config.dnsServers, timeoutMs: config.dnsTimeout }
  const verified = await verifyDomain(session.saasctl, slug, domain, resolving)
  printOne(session, verified)
  session.progress.notice(`${verified.hostname} routes to ${slug}.`)
}

async function list({ saasctl, print, progress }: Session, _options: object, slug: string): Promise<void> {
  const { listDomains } = await import('../../../src/tenants/domains.js')
  const domains = await listDomains(saasctl, slug)
  // Without the record: a narrow terminal would cut it, and half a record proves nothing.
  print.list(domains.map(view), ['hostname', 'routes', 'verifiedAt', 'createdAt'])
  for (const domain of domains) if (!domain.verifiedAt) progress.notice(`To be set: ${lineOf(domain)}`)
  if (domains.length === 0) progress.notice(`Tenant ${slug} has no domain of its own.`)
}

async function remove(session: Session, _options: object, slug: string, domain: string): Promise<void> {
  const { removeDomain } = await import('../../../src/tenants/domains.js')
  const removed = await removeDomain(session.saasctl, slug, domain)
  printOne(session, { ...removed, verifiedAt: null })
  session.progress.notice(`${removed.hostname} does not route to ${slug} any more.`)
}

/** As a zone file has it. */
const lineOf = ({ record }: TenantDomain) => `${record.name} ${record.type} "${record.value}"`

const view = ({ hostname, verifiedAt, createdAt, record }: TenantDomain) => ({
  hostname,
  routes: verifiedAt !== null,
  verifiedAt,
  createdAt,
  record
})

function printOne({ print }: Session, domain: TenantDomain): void {
  const { record, ...rest } = view(domain)
  print.one({ ...rest, record }, { ...rest, record: lineOf(domain) })
}
