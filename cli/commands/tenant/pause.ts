import type { Command } from 'commander'
import { type Act, dryRun } from '../../dry-run.js'
import { type Outcome, onTenants } from '../../fleet.js'
import { verb } from '../../help.js'
import { chosenSlugs, type SelectorFlags, selectorFlags } from '../../selector.js'
import { type Session, withSaasctl } from '../../session.js'

interface Options extends SelectorFlags {
  reason?: string
  dryRun?: true
}

export function addPause(noun: Command): void {
  const suspend = verb(noun, 'suspend [slugs...]', 'Keep a tenant’s application out; its data stays', [
    'tenant suspend acme --reason "invoice 42 unpaid"',
    'tenant suspend -l tier=trial --except acme  # many tenants; asks first'
  ])
    .option('--reason <text>', 'for the audit trail')
    .option('--dry-run', 'print the steps and change nothing')
  selectorFlags(suspend).action(withSaasctl(suspendTenants))
  const resume = verb(noun, 'resume [slugs...]', 'Let a suspended tenant in again', [
    'tenant resume acme',
    'tenant resume --all --status suspended'
  ]).option('--dry-run', 'print the steps and change nothing')
  selectorFlags(resume).action(withSaasctl(resumeTenants))
}

async function suspendTenants(session: Session, options: Options, slugs: string[]): Promise<void> {
  const { saasctl } = session
  const { reason } = options
  const chosen = await chosenSlugs(saasctl, slugs, options, ['active'])
  const { suspendTenant } = await import('../../../src/tenants/suspend.js')
  const act: Act<Outcome> = (saasctl, slug, wait) => suspendTenant(saasctl, slug, { ...wait, reason })
  await (options.dryRun ? dryRun(session, chosen, act) : onTenants(session, chosen, 'suspended', act))
}

async function resumeTenants(session: Session, options: Options, slugs: string[]): Promise<void> {
  const { saasctl } = session
  const chosen = await chosenSlugs(saasctl, slugs, options, ['suspended'])
  const { resumeTenant } = await import('../../../src/tenants/resume.js')
  await (options.dryRun ? dryRun(session, chosen, resumeTenant) : onTenants(session, chosen, 'resumed', resumeTenant))
}
