import type { Command } from 'commander'
import type { AdoptionPlan } from '../../../src/tenants/adoption-plan.js'
import { confirmLoss } from '../../confirm.js'
import { collectNames, collectNewLabels } from '../../flags.js'
import { printOutcome } from '../../fleet.js'
import { verb } from '../../help.js'
import { type Session, withSaasctl } from '../../session.js'
import { plural, size } from '../../text.js'

interface AdoptFlags {
  server: string
  database: string
  baseline?: string
  template?: string
  plan?: string
  label?: Record<string, string>
  displayName?: string
  confirm?: string[]
  dryRun?: true
}

interface ReleaseFlags {
  to?: string
  name?: string
  reason?: string
  confirm?: string[]
  dryRun?: true
}

export function addAdopt(noun: Command): void {
  verb(noun, 'adopt <slug>', 'Take an existing database over as a tenant’s, in place', [
    'tenant adopt acme --server main --database acme_production --dry-run  # what it would change',
    'tenant adopt acme --server main --database acme_production --baseline 0007_orders --confirm acme'
  ])
    .requiredOption('--server <name>', 'the server that it is on')
    .requiredOption('--database <name>', 'what it is called there')
    .option('--baseline <migration>', 'the last migration that is in it, or none; found out when left away')
    .option('--template <name>', 'the template whose migrations it follows')
    .option('--plan <name>', 'its limits and features; by default the template’s')
    .option('--label <key=value>', 'a label; several with commas, or the flag again', collectNewLabels)
    .option('--display-name <name>', 'the customer’s own name, for people')
    .option('--confirm <slug>', 'agrees to the change of owners and rights, for scripts', collectNames)
    .option('--dry-run', 'print what would change and change nothing')
    .action(withSaasctl(adopt))
  verb(noun, 'give-away <slug>', 'Give a tenant’s database away; its data stays, the catalog forgets it', [
    'tenant give-away acme --to acme_owner --confirm acme',
    'tenant give-away acme --to acme_owner --name acme_production --dry-run'
  ])
    .option('--to <role>', 'the role that owns it from then on; by default who owned it before')
    .option('--name <database>', 'what it is called from then on; by default what it was called before')
    .option('--reason <text>', 'for the audit trail')
    .option('--confirm <slug>', 'agrees to it, for scripts', collectNames)
    .option('--dry-run', 'print what would be left and change nothing')
    .action(withSaasctl(release))
}

async function adopt(session: Session, flags: AdoptFlags, slug: string): Promise<void> {
  const { saasctl, print } = session
  const [{ planAdoption, refuseLacking }, { adoptTenant }] = await Promise.all([
    import('../../../src/tenants/adoption-plan.js'),
    import('../../../src/tenants/adopt.js')
  ])
  const { server, database, baseline, plan, label: labels, displayName } = flags
  const template = flags.template ?? saasctl.config.template
  const wish = { slug, server, database, baseline, template, plan, labels, displayName }
  const planned = await planAdoption(saasctl, wish, session.wait())
  if (flags.dryRun) {
    print.one(planView(slug, flags, planned))
    return refuseLacking(planned)
  }
  refuseLacking(planned)
  if (!print.forPrograms) for (const line of lossOf(flags, planned)) session.progress.notice(line)
  const loss = `Database ${database} and all in it will change hands.`
  await confirmLoss(loss, slug, flags.confirm ?? [])
  await printOutcome(session, await adoptTenant(saasctl, wish, session.wait()))
}

function planView(slug: string, { server, database, baseline }: AdoptFlags, { survey, becomes, chosen }: AdoptionPlan) {
  const { owner, owners, losing, sessions, bytes, lacking } = survey
  return {
    slug,
    server,
    database,
    size: size(bytes),
    owner: owner ?? 'none',
    owners: owners.map(({ role, objects }) => `${role} (${objects})`),
    becomes: becomes.database,
    newOwner: becomes.owner,
    logins: becomes.logins,
    losing,
    sessionsEnded: sessions,
    added: 'schema of ours: identity row, ledger table',
    template: chosen.template.name,
    plan: chosen.plan.name,
    baseline: baseline ?? 'found out from its ledger or its schema',
    lacking: lacking.map(({ fix }) => fix ?? '')
  }
}

function lossOf({ database }: AdoptFlags, { survey, becomes }: AdoptionPlan): string[] {
  const { owners, losing, sessions } = survey
  return [
    `${database} (${size(survey.bytes)}) gets ${becomes.database} and ${becomes.owner}.`,
    ...(owners.length > 0 ? [`Owners now: ${owners.map(({ role }) => role).join(', ')}.`] : []),
    ...(losing.length > 0 ? [`Who has rights to it now: ${losing.join(', ')}.`] : []),
    ...(sessions > 0 ? [`${plural(sessions, 'session')} in it will end.`] : [])
  ]
}

async function release(session: Session, flags: ReleaseFlags, slug: string): Promise<void> {
  const { saasctl, print } = session
  const { planRelease, releaseTenant } = await import('../../../src/tenants/release.js')
  const planned = await planRelease(saasctl, slug, flags)
  if (flags.dryRun) return print.one(planned)
  const whose = planned.to === null ? '' : ` and belongs to ${planned.to}`
  await confirmLoss(
    `Tenant ${slug} will be forgotten; its database is called ${planned.name}${whose} then.`,
    slug,
    flags.confirm ?? []
  )
  await printOutcome(session, await releaseTenant(saasctl, slug, { ...flags, ...session.wait() }))
}
