import type { Command } from 'commander'
import { SaasctlError } from '../../../src/errors.js'
import { confirmLoss } from '../../confirm.js'
import { type Act, dryRun } from '../../dry-run.js'
import { collectNames } from '../../flags.js'
import { type Outcome, printOutcome } from '../../fleet.js'
import { verb } from '../../help.js'
import { type Session, withSaasctl } from '../../session.js'
import { ago } from '../../text.js'

interface Options {
  backup?: string
  latest?: true
  as?: string
  migrate?: true
  undo?: true
  discardWrites?: true
  confirm?: string[]
  dryRun?: true
}

interface CloneOptions {
  as: string
  hold?: true
  dryRun?: true
}

export function addRestore(noun: Command): void {
  verb(noun, 'restore <slug>', 'Put a tenant back to a backup of its own, or make another tenant of one', [
    'tenant restore acme --latest',
    'tenant restore acme --backup 0192f5c0-7e5a-7c3b-9d1e-2f4a6b8c0d1e --confirm acme',
    'tenant restore acme --latest --as acme-before  # another tenant; acme stays as it is',
    'tenant restore acme --undo  # back to what it was before the restore'
  ])
    .option('--backup <id>', 'the backup, see "saasctl backup list"')
    .option('--latest', 'the latest complete backup')
    .option('--as <slug>', 'make a new tenant of it')
    .option('--migrate', 'bring an older schema to the fleet’s version')
    .option('--undo', 'take the last restore back, while what it replaced is kept')
    .option('--discard-writes', 'with --undo: also when the restored database was written to')
    .option('--confirm <slug>', 'agrees to the replacement, for scripts', collectNames)
    .option('--dry-run', 'print the steps and change nothing')
    .action(withSaasctl(restore))
  verb(noun, 'clone <slug>', 'Make another tenant of what a tenant is now', [
    'tenant clone acme --as acme-staging',
    'tenant clone acme --as acme-staging --hold  # copied by the server, while nobody may be inside'
  ])
    .requiredOption('--as <slug>', 'the slug of the new tenant')
    .option('--hold', 'hold the tenant for the time of the copy, which is faster')
    .option('--dry-run', 'print the steps and change nothing')
    .action(withSaasctl(clone))
}

async function restore(session: Session, options: Options, slug: string): Promise<void> {
  checkFlags(options)
  if (options.dryRun) return dryRun(session, [slug], await restoring(options))
  if (options.undo) return undo(session, options, slug)
  if (options.as !== undefined) return restoreAnother(session, { ...options, as: options.as }, slug)
  const { backupToRestore, restoreTenant } = await import('../../../src/restores/restore.js')
  const backup = await backupToRestore(session.saasctl, slug, options.backup)
  const age = ago(backup.takenAt ?? backup.createdAt)
  const loss = `Tenant ${slug} will be as it was ${age}, in backup ${backup.id}; what was written since is set aside.`
  await confirmLoss(loss, slug, options.confirm ?? [])
  const wish = { backup: backup.id, migrate: options.migrate }
  await printOutcome(session, await restoreTenant(session.saasctl, slug, wish, session.wait()))
  session.progress.next(`Take it back with "saasctl tenant restore ${slug} --undo".`)
}

async function restoreAnother(session: Session, options: Options & { as: string }, slug: string): Promise<void> {
  const { restoreAs } = await import('../../../src/restores/clone.js')
  const { as, backup, migrate } = options
  await printOutcome(session, await restoreAs(session.saasctl, slug, { as, backup, migrate }, session.wait()))
}

async function undo(session: Session, options: Options, slug: string): Promise<void> {
  const { undoRestore } = await import('../../../src/restores/undo.js')
  const discardWrites = options.discardWrites === true
  if (discardWrites) {
    await confirmLoss(
      `What was written to tenant ${slug} since it was restored is lost to it.`,
      slug,
      options.confirm ?? []
    )
  }
  await printOutcome(session, await undoRestore(session.saasctl, slug, { discardWrites }, session.wait()))
}

async function clone(session: Session, options: CloneOptions, slug: string): Promise<void> {
  const { cloneTenant } = await import('../../../src/restores/clone.js')
  if (options.dryRun) return dryRun(session, [slug], (saasctl, slug, wait) => cloneTenant(saasctl, slug, options, wait))
  await printOutcome(session, await cloneTenant(session.saasctl, slug, options, session.wait()))
}

/** What contradicts itself is told before anything is looked up. */
function checkFlags({ backup, latest, as, undo, discardWrites, migrate }: Options): void {
  const chosen = [backup !== undefined, latest === true, undo === true].filter(Boolean).length
  const refuse = (message: string, hint: string) => {
    throw new SaasctlError('USAGE', message, { hint })
  }
  if (chosen !== 1) refuse('One of --backup, --latest and --undo says what to restore.', 'Give exactly one of them.')
  if (undo && (as !== undefined || migrate)) {
    refuse('--undo gives the tenant back what it had: it takes neither --as nor --migrate.', 'Leave them out.')
  }
  if (discardWrites && !undo) refuse('--discard-writes belongs to --undo.', 'Leave it out, or add --undo.')
}

async function restoring({ undo, as, backup, migrate, discardWrites }: Options): Promise<Act<Outcome>> {
  const [{ restoreTenant }, { restoreAs }, { undoRestore }] = await Promise.all([
    import('../../../src/restores/restore.js'),
    import('../../../src/restores/clone.js'),
    import('../../../src/restores/undo.js')
  ])
  if (undo) return (saasctl, slug, wait) => undoRestore(saasctl, slug, { discardWrites: discardWrites === true }, wait)
  return as === undefined
    ? (saasctl, slug, wait) => restoreTenant(saasctl, slug, { backup, migrate }, wait)
    : (saasctl, slug, wait) => restoreAs(saasctl, slug, { as, backup, migrate }, wait)
}
