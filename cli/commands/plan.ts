import type { Command } from 'commander'
import { verb } from '../help.js'
import { type Session, withSaasctl } from '../session.js'

export function plan(noun: Command): void {
  verb(noun, 'list', 'List the plans of the file and of the catalog', ['plan list'])
    .alias('ls')
    .action(withSaasctl(list))
  verb(noun, 'show <name>', 'Show one plan with its limits, features and quotas', ['plan show pro'])
    .alias('get')
    .action(withSaasctl(show))
  verb(noun, 'apply', 'Take what plans.json says into the catalog', ['plan apply']).action(withSaasctl(apply))
}

async function list({ saasctl, print, progress }: Session): Promise<void> {
  const { listPlans } = await import('../../src/templates/plans.js')
  const plans = await listPlans(saasctl)
  print.list(plans, ['name', 'displayName', 'revision', 'changed', 'limits', 'requests'])
  if (plans.some(line => line.changed)) progress.next('The file says more than the catalog: saasctl plan apply')
}

async function show({ saasctl, print }: Session, _options: object, name: string): Promise<void> {
  const { showPlan } = await import('../../src/templates/plans.js')
  print.one(await showPlan(saasctl, name))
}

async function apply({ saasctl, print, progress }: Session): Promise<void> {
  const { applyPlans } = await import('../../src/templates/plans.js')
  const applied = await applyPlans(saasctl)
  print.list(applied, ['name', 'changed', 'limitsChanged'])
  for (const { name } of applied.filter(line => line.limitsChanged)) {
    progress.next(`Bring its new limits to the tenants: saasctl tenant update -l plan=${name} --plan ${name}`)
  }
}
