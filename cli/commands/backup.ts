import type { Command } from 'commander'
import type { ListedBackup } from '../../src/catalog/backups.js'
import { agree } from '../confirm.js'
import { verb } from '../help.js'
import { type PageFlags, pageFlags, pageOf, tellMore } from '../paging.js'
import { type SelectorFlags, selectorFlags, selectorOf } from '../selector.js'
import { type Session, withSaasctl } from '../session.js'
import { plural } from '../text.js'

export function backup(noun: Command): void {
  const listing = verb(noun, 'list [slug]', 'List backups, newest first, of one tenant or of all', [
    'backup list acme',
    'backup list --limit 100 -o ndjson'
  ])
    .alias('ls')
    .option('--removed', 'those that are gone as well')
  pageFlags(listing, 20).action(withSaasctl(list))
  verb(noun, 'show <id>', 'Show a backup and what its manifest says', ['backup show 0198c5d2-…'])
    .alias('get')
    .action(withSaasctl(show))
  verb(noun, 'verify <id>', 'Restore a backup to a scratch database and compare', [
    'backup verify 0198c5d2-…',
    'backup verify 0198c5d2-… --server drills'
  ])
    .option('--server <name>', 'where the scratch database goes; by default where the tenant’s was')
    .action(withSaasctl(verify))
  verb(noun, 'prune [slug]', 'Remove the backups that neither a plan nor a hold keeps', [
    'backup prune --dry-run',
    'backup prune acme --yes'
  ])
    .option('--dry-run', 'list what would be removed and remove nothing')
    .action(withSaasctl(prune))
  selectorFlags(
    verb(noun, 'status', 'Ages of backups and of verified restores; exit 8 when a plan’s promise is broken', [
      'backup status',
      'backup status -l plan=pro -o json'
    ])
  ).action(withSaasctl(status))
  verb(noun, 'hold <id>', 'Keep a backup until it is released, whatever the plan says', [
    'backup hold 0198c5d2-… --reason "litigation 2026-114"'
  ])
    .requiredOption('--reason <text>', 'for the audit trail')
    .action(withSaasctl(hold))
  verb(noun, 'release <id>', 'End the hold on a backup', ['backup release 0198c5d2-…']).action(withSaasctl(release))
}

const shown = ['id', 'slug', 'status', 'reason', 'bytes', 'migration', 'takenAt', 'verifiedAt', 'expiresAt'] as const

interface ListOptions extends PageFlags {
  removed?: true
}

async function list(session: Session, options: ListOptions, slug?: string): Promise<void> {
  const { saasctl, print } = session
  const { listBackupsOf } = await import('../../src/backups/list.js')
  const rows = await listBackupsOf(saasctl, slug, { ...pageOf(options), removed: options.removed === true })
  print.list(rows, [...shown])
  tellMore(session, rows, options)
}

async function show({ saasctl, print }: Session, _options: object, id: string): Promise<void> {
  const { showBackup } = await import('../../src/backups/list.js')
  const { manifest, manifestError, ...row } = await showBackup(saasctl, id)
  print.one({ ...row, manifest, manifestError }, { ...row, ...forPeople(manifest), manifestError })
}

function forPeople(manifest: { database: { serverVersion: string }; rows: object; object: { sha256: string } } | null) {
  if (!manifest) return {}
  const { database, rows, object } = manifest
  return { serverVersion: database.serverVersion, tables: Object.keys(rows).length, sha256: object.sha256 }
}

async function verify(session: Session, { server }: { server?: string }, id: string): Promise<void> {
  const { verifyBackup } = await import('../../src/backups/verify.js')
  const { backup, operationId } = await verifyBackup(session.saasctl, id, { ...session.wait(), server })
  printBackup(session, backup)
  if (!session.flags.wait) session.progress.next(`Follow it with "saasctl operation watch ${operationId}".`)
}

async function prune(session: Session, { dryRun }: { dryRun?: true }, slug?: string): Promise<void> {
  const { saasctl, print, progress, flags } = session
  const { planPrune, pruneBackups } = await import('../../src/backups/prune.js')
  const expendable = await planPrune(saasctl, slug)
  if (expendable.length === 0) {
    print.list([], [...shown])
    return progress.notice('Every backup is kept by something; nothing is to be removed.')
  }
  if (dryRun) {
    print.list(expendable, [...shown])
    return progress.notice('Nothing was removed; these would be.')
  }
  await agree(`${plural(expendable.length, 'backup')} will be removed for good.`, flags)
  const { id, result } = await pruneBackups(saasctl, slug, session.wait())
  progress.clear()
  if (!flags.wait) return progress.next(`Follow it with "saasctl operation watch ${id}".`)
  print.one({ operation: id, ...(result as { removed: number }) })
}

async function status({ saasctl, print }: Session, flags: SelectorFlags): Promise<void> {
  const { checkPolicies, refuseBroken } = await import('../../src/backups/policy.js')
  const report = await checkPolicies(saasctl.catalog, selectorOf(flags))
  if (print.forPrograms) print.one(report)
  else {
    print.one(report.totals)
    print.list(report.broken, ['slug', 'plan', 'broken', 'lastBackupAt', 'lastVerifiedAt'])
  }
  refuseBroken(report)
}

async function hold(session: Session, { reason }: { reason: string }, id: string): Promise<void> {
  const { holdBackup } = await import('../../src/backups/hold.js')
  printBackup(session, await holdBackup(session.saasctl, id, reason))
}

async function release(session: Session, _options: object, id: string): Promise<void> {
  const { releaseBackup } = await import('../../src/backups/hold.js')
  printBackup(session, await releaseBackup(session.saasctl, id))
}

function printBackup({ print, progress }: Session, backup: ListedBackup): void {
  progress.clear()
  if (print.forPrograms) print.one(backup)
  else print.list([backup], [...shown])
}
