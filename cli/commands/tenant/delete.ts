import type { Command } from 'commander'
import { confirmLoss } from '../../confirm.js'
import { type Act, dryRun } from '../../dry-run.js'
import { collectNames, milliseconds } from '../../flags.js'
import { type Outcome, onTenants } from '../../fleet.js'
import { verb } from '../../help.js'
import { minute } from '../../print.js'
import { chosenSlugs, type SelectorFlags, selectorFlags } from '../../selector.js'
import { type Session, withSaasctl } from '../../session.js'

interface Options extends SelectorFlags {
  now?: true
  grace?: number
  reason?: string
  confirm?: string[]
  dryRun?: true
  backup: boolean
}

/** A shorter grace is over before anybody could think better of it, so it is asked about like `--now`. */
const shortGraceMs = 3_600_000

export function addDelete(noun: Command): void {
  const remove = verb(noun, 'delete [slugs...]', 'Delete a tenant; it can come back until its grace is over', [
    'tenant delete acme',
    'tenant delete acme --grace 30d --reason "contract ended"',
    'tenant delete acme --now --confirm acme  # at once and for good'
  ])
    .alias('rm')
    .option('--grace <duration>', 'how long it can come back, as in 7d', milliseconds)
    .option('--now', 'drop its database at once: nothing can come back')
    .option('--confirm <slug>', 'agrees to the loss, for scripts; several with commas', collectNames)
    .option('--reason <text>', 'for the audit trail')
    .option('--no-backup', 'no last backup before its database is dropped')
    .option('--dry-run', 'print the steps and change nothing')
  selectorFlags(remove).action(withSaasctl(deleteTenants))
  verb(noun, 'undelete <slug>', 'Bring a deleted tenant back', ['tenant undelete acme'])
    .option('--dry-run', 'print the steps and change nothing')
    .action(withSaasctl(undelete))
}

async function deleteTenants(session: Session, options: Options, slugs: string[]): Promise<void> {
  const { saasctl } = session
  const chosen = await chosenSlugs(saasctl, slugs, options, ['active', 'suspended'])
  const act = await (options.now ? purging(options) : deleting(options, session))
  if (options.dryRun) return dryRun(session, chosen, act)
  const forGood = options.now === true || (options.grace ?? shortGraceMs) < shortGraceMs
  for (const slug of forGood ? chosen : []) {
    await confirmLoss(lossOf(slug, options.backup), slug, options.confirm ?? [], chosen)
  }
  await onTenants(session, chosen, options.now ? 'purged' : 'deleted', act)
}

function lossOf(slug: string, backup: boolean): string {
  const kept = backup ? '; a last backup is made and kept for a while' : ' without a last backup'
  return `Tenant ${slug} and all of its data will be gone for good${kept}.`
}

async function purging({ reason, backup }: Options): Promise<Act<Outcome>> {
  const { purgeTenant } = await import('../../../src/tenants/purge.js')
  return (saasctl, slug, wait) => purgeTenant(saasctl, slug, { ...wait, reason, ...(!backup && { backup }) })
}

async function deleting({ reason, grace, backup, dryRun }: Options, { progress }: Session): Promise<Act<Outcome>> {
  const { deleteTenant } = await import('../../../src/tenants/delete.js')
  const graceSeconds = grace === undefined ? undefined : grace / 1000
  return async (saasctl, slug, wait) => {
    const outcome = await deleteTenant(saasctl, slug, { ...wait, reason, graceSeconds, finalBackup: backup })
    const { slug: name, purgeAt } = outcome.tenant
    if (purgeAt && !dryRun)
      progress.notice(`${name} is purged at ${minute(purgeAt)}; until then: saasctl tenant undelete ${name}`)
    return outcome
  }
}

async function undelete(session: Session, options: Options, slug: string): Promise<void> {
  const { undeleteTenant } = await import('../../../src/tenants/undelete.js')
  await (options.dryRun
    ? dryRun(session, [slug], undeleteTenant)
    : onTenants(session, [slug], 'brought back', undeleteTenant))
}
