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
  verb(noun, 'invalidate <slug>', 'Void everything that applications have cached of a tenant', [
    'tenant invalidate acme'
  ]).action(withSaasctl(invalidate))
}

async function add(session: Session, _options: object, slug: string, domain: string): Promise<void> {
  const { addDomain } = await import('../../../src/tenants/domains.js')
  const added = await addDomain(session.saasctl, slug, domain)
  print(session, [added])
  const { name, value } = added.record
  if (added.verifiedAt) session.progress.notice(`${added.hostname} is proven already.`)
  else {
    session.progress.notice(`Set this record at the domain's name servers: ${name} TXT "${value}"`)
    session.progress.next(`Then run "saasctl tenant domain verify ${slug} ${added.hostname}".`)
  }
}

async function verify(session: Session, _options: object, slug: string, domain: string): Promise<void> {
  const { verifyDomain } = await import('../../../src/tenants/domains.js')
  const { config } = session.saasctl
  const resolving = { servers: config.dnsServers, timeoutMs: config.dnsTimeout }
  const verified = await verifyDomain(session.saasctl, slug, domain, resolving)
  print(session, [verified])
  session.progress.notice(`${verified.hostname} routes to ${slug}.`)
}

async function list(session: Session, _options: object, slug: string): Promise<void> {
  const { listDomains } = await import('../../../src/tenants/domains.js')
  print(session, await listDomains(session.saasctl, slug))
}

async function remove(session: Session, _options: object, slug: string, domain: string): Promise<void> {
  const { removeDomain } = await import('../../../src/tenants/domains.js')
  const removed = await removeDomain(session.saasctl, slug, domain)
  print(session, [removed])
  session.progress.notice(`${removed.hostname} does not route to ${slug} any more.`)
}

async function invalidate(session: Session, _options: object, slug: string): Promise<void> {
  const [{ invalidateCache }, { printOutcome }] = await Promise.all([
    import('../../../src/tenants/invalidate.js'),
    import('../../fleet.js')
  ])
  await printOutcome(session, { tenant: await invalidateCache(session.saasctl, slug), operation: null })
}

function print({ print }: Session, domains: TenantDomain[]): void {
  const rows = domains.map(({ hostname, verifiedAt, createdAt, record }) => ({
    hostname,
    routes: verifiedAt !== null,
    verifiedAt,
    createdAt,
    record: `${record.name} TXT "${record.value}"`
  }))
  print.list(rows, ['hostname', 'routes', 'verifiedAt', 'record'])
}
