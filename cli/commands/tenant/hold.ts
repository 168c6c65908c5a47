import type { Command } from 'commander'
import type { NamedApproval } from '../../../src/catalog/approvals.js'
import { printSteps } from '../../dry-run.js'
import { verb } from '../../help.js'
import { type Session, withSaasctl } from '../../session.js'
import { printAsked } from '../approval.js'

interface Options {
  reason: string
  dryRun?: true
}

export function addHold(noun: Command): void {
  verb(noun, 'hold <slug>', 'Ask for a legal hold: nothing of the tenant is destroyed any more', [
    'tenant hold acme --reason "litigation 2026-17"'
  ])
    .requiredOption('--reason <text>', 'for the audit trail, and for whoever is refused')
    .action(withSaasctl(hold))
  verb(noun, 'release <slug>', 'Ask for the end of a legal hold', ['tenant release acme --reason "litigation settled"'])
    .requiredOption('--reason <text>', 'for the audit trail')
    .action(withSaasctl(release))
  verb(noun, 'erase <slug>', 'Ask for a tenant to be erased: data, keys, copies and what the trail says of it', [
    'tenant erase acme --reason "request of 24 November"',
    'tenant erase acme --reason x --dry-run  # prints the steps'
  ])
    .requiredOption('--reason <text>', 'for the audit trail, until that is erased too')
    .option('--dry-run', 'print the steps and change nothing')
    .action(withSaasctl(erase))
}

async function hold(session: Session, { reason }: Options, slug: string): Promise<void> {
  const { askHold } = await import('../../../src/tenants/hold.js')
  printAsked(session, await askHold(session.saasctl, slug, reason))
}

async function release(session: Session, { reason }: Options, slug: string): Promise<void> {
  const { askRelease } = await import('../../../src/tenants/hold.js')
  printAsked(session, await askRelease(session.saasctl, slug, reason))
}

async function erase(session: Session, { reason, dryRun }: Options, slug: string): Promise<void> {
  if (dryRun) return printSteps(session, 'tenant.erase', [slug])
  const { askErase } = await import('../../../src/tenants/erase.js')
  const asked: NamedApproval = await askErase(session.saasctl, slug, reason)
  printAsked(session, asked)
}
