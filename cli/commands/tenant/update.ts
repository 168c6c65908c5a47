import type { Command } from 'commander'
import { SaasctlError } from '../../../src/errors.js'
import type { TenantChange } from '../../../src/tenants/update.js'
import { type Act, dryRun } from '../../dry-run.js'
import { collectLabels } from '../../flags.js'
import { type Outcome, onTenants, printOutcome } from '../../fleet.js'
import { verb } from '../../help.js'
import { chosenSlugs, type SelectorFlags, selectorFlags } from '../../selector.js'
import { type Session, withSaasctl } from '../../session.js'

interface Options extends Omit<SelectorFlags, 'plan'>, Pick<TenantChange, 'plan' | 'displayName'> {
  label?: Record<string, string | null>
  dryRun?: true
}

export function addUpdate(noun: Command): void {
  const update = verb(noun, 'update [slugs...]', 'Change plan, labels or display name', [
    'tenant update acme --plan enterprise',
    'tenant update acme --label tier=gold --label trial-  # sets one label, takes one away',
    'tenant update -l tier=gold --plan pro  # many tenants; asks first'
  ])
    .option('--plan <name>', 'the new plan; its limits are on the server when the command is done')
    .option('--label <key=value>', 'set a label; key- takes it away', collectLabels)
    .option('--display-name <name>', 'the customer’s own name')
    .option('--dry-run', 'print the steps and change nothing')
  selectorFlags(update, { plan: false }).action(withSaasctl(updateTenants))
  verb(noun, 'rename <slug> <new-slug>', 'Give a tenant another slug; its database stays as it is', [
    'tenant rename acme acme-corp'
  ]).action(withSaasctl(rename))
}

async function updateTenants(session: Session, options: Options, slugs: string[]): Promise<void> {
  const { saasctl } = session
  const { plan, displayName, label: labels, ...selector } = options
  if (plan === undefined && displayName === undefined && labels === undefined) {
    throw new SaasctlError('USAGE', 'There is nothing to change.', { hint: 'Give --plan, --label or --display-name.' })
  }
  const chosen = await chosenSlugs(saasctl, slugs, selector, ['active', 'suspended'])
  const { updateTenant } = await import('../../../src/tenants/update.js')
  const change = { plan, displayName, labels }
  const act: Act<Outcome> = (saasctl, slug, wait) => updateTenant(saasctl, slug, change, wait)
  await (options.dryRun ? dryRun(session, chosen, act) : onTenants(session, chosen, 'updated', act))
}

async function rename(session: Session, _options: object, slug: string, newSlug: string): Promise<void> {
  const { renameTenant } = await import('../../../src/tenants/rename.js')
  await printOutcome(session, { tenant: await renameTenant(session.saasctl, slug, newSlug), operation: null })
}
