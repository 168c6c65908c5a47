import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Command } from 'commander'
import type { NamedApproval } from '../../../src/catalog/approvals.js'
import { SaasctlError } from '../../../src/errors.js'
import type { LastExport } from '../../../src/tenants/erase.js'
import { known, printSteps } from '../../dry-run.js'
import { readText } from '../../files.js'
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
    'tenant erase acme --reason x --export-to s3://theirs/acme.zip.p7m --encrypt-to their.pem',
    'tenant erase acme --reason x --dry-run  # prints the steps'
  ])
    .requiredOption('--reason <text>', 'for the audit trail, until that is erased too')
    .option('--export-to <place>', 'a last export before: s3://BUCKET/NAME, or a file where it is worked on')
    .option('--encrypt-to <file>', 'the certificate in PEM of whoever alone can read that export')
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

interface EraseOptions extends Options {
  exportTo?: string
  encryptTo?: string
}

async function erase(session: Session, { reason, dryRun, ...options }: EraseOptions, slug: string): Promise<void> {
  if (dryRun) return printSteps(session, 'tenant.erase', await known(session, slug))
  const { askErase } = await import('../../../src/tenants/erase.js')
  const asked: NamedApproval = await askErase(session.saasctl, slug, reason, await lastExport(session, reason, options))
  printAsked(session, asked)
}

async function lastExport(
  { saasctl }: Session,
  reason: string,
  { exportTo, encryptTo }: Omit<EraseOptions, 'reason'>
): Promise<LastExport | undefined> {
  if (exportTo === undefined && encryptTo === undefined) return undefined
  if (exportTo === undefined || encryptTo === undefined) {
    throw new SaasctlError('USAGE', 'A last export has a place and somebody who alone can read it.', {
      hint: 'Give both --export-to PLACE and --encrypt-to CERTIFICATE.'
    })
  }
  const [{ checkWish }, { certificateIn }, { containerOf }] = await Promise.all([
    import('../../../src/exports/create.js'),
    import('../../../src/exports/encrypt.js'),
    import('../../../src/exports/target.js')
  ])
  const container = containerOf(exportTo)
  const target = exportTo.startsWith('s3://') ? exportTo : pathToFileURL(resolve(exportTo)).href
  const certificate = certificateIn(await readText(encryptTo))
  await checkWish(saasctl, { formats: ['jsonl', 'csv'], container, target, masked: false, certificate, reason })
  if (container === 'folder')
    throw new SaasctlError('USAGE', 'A folder cannot be encrypted.', { hint: 'Use .zip.p7m.' })
  return { target, container, certificate }
}
