import type { Command } from 'commander'
import { type Act, dryRun } from '../../dry-run.js'
import { milliseconds } from '../../flags.js'
import { type Outcome, onTenants } from '../../fleet.js'
import { verb } from '../../help.js'
import { chosenSlugs, type SelectorFlags, selectorFlags } from '../../selector.js'
import { type Session, withSaasctl } from '../../session.js'

interface Options extends SelectorFlags {
  keep?: number
  dryRun?: true
}

export function addBackup(noun: Command): void {
  const backup = verb(noun, 'backup [slugs...]', 'Back a tenant up to the store, encrypted with its own key', [
    'tenant backup acme',
    'tenant backup acme --keep 90d'
  ])
    .option('--keep <duration>', 'keep it so long, whatever the plan says', milliseconds)
    .option('--dry-run', 'print the steps and change nothing')
  selectorFlags(backup).action(withSaasctl(backUp))
}

async function backUp(session: Session, options: Options, slugs: string[]): Promise<void> {
  const { saasctl } = session
  const chosen = await chosenSlugs(saasctl, slugs, options, ['active', 'suspended'])
  const { backupTenant } = await import('../../../src/backups/backup.js')
  const keepSeconds = options.keep === undefined ? undefined : options.keep / 1000
  const act: Act<Outcome> = async (saasctl, slug, wait) => {
    const outcome = await backupTenant(saasctl, slug, { ...wait, keepSeconds })
    if (wait.wait) session.progress.notice(`${outcome.tenant.slug} is backed up as ${outcome.backupId}.`)
    return outcome
  }
  await (options.dryRun ? dryRun(session, chosen, act) : onTenants(session, chosen, 'backed up', act))
}
