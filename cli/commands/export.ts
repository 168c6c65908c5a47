import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { type Command, InvalidArgumentError, Option } from 'commander'
import type { LineFormat } from '../../src/engines/snapshot.js'
import { SaasctlError } from '../../src/errors.js'
import { known, printSteps } from '../dry-run.js'
import { readText } from '../files.js'
import { verb } from '../help.js'
import { type PageFlags, pageFlags, pageOf, tellMore } from '../paging.js'
import { type Desk, type Session, withDesk, withSaasctl } from '../session.js'

interface CreateOptions {
  format: LineFormat[]
  out?: string
  mask?: true
  encryptTo?: string
  reason?: string
  dryRun?: true
}

export function exportNoun(noun: Command): void {
  verb(noun, 'create <slug>', 'Export a tenant’s data, with what proves it, as one signed file', [
    'export create acme --reason "request 17"  # into the store, where it expires',
    'export create acme --out acme.zip --reason "leaving us"',
    'export create acme --mask --encrypt-to auditor.pem --out acme.tar.gz.p7m --reason "audit 2026"'
  ])
    .addOption(new Option('--format <list>', 'jsonl, csv or both').argParser(formats).default(['jsonl', 'csv']))
    .option('--out <place>', 'a new .tar.gz, .zip or folder, or s3://BUCKET/NAME; without it, the store')
    .option('--mask', 'hide what the template says must not leave the company')
    .option('--encrypt-to <file>', 'a certificate in PEM: its key alone opens the export')
    .option('--reason <text>', 'for the audit trail; signed with the export, too')
    .option('--dry-run', 'print the steps and change nothing')
    .action(withSaasctl(create))
  const listing = verb(noun, 'list', 'List exports, newest first', ['export list', 'export list --tenant acme'])
    .alias('ls')
    .option('--tenant <slug>', 'those of one tenant')
  pageFlags(listing, 100).action(withSaasctl(list))
  verb(noun, 'show <id>', 'Show one export: where it is, and what it says', ['export show 0190…'])
    .alias('get')
    .action(withSaasctl(show))
  verb(noun, 'download <id> <file>', 'Copy an export from the store into a new file', [
    'export download 0190… acme.tar.gz'
  ]).action(withSaasctl(download))
  verb(noun, 'verify <file>', 'Is an export whole and unchanged? Needs no catalog and no network', [
    'export verify acme.tar.gz --key audit.pem',
    'export verify acme  # without a key it cannot say who signed'
  ])
    .option('--key <file>', 'public keys in PEM, as "audit key" prints them, retired ones too')
    .action(withDesk(verify))
  verb(noun, 'import <file>', 'Bring an export back as a new tenant, equal row for row', [
    'export import acme.tar.gz --as acme-again'
  ])
    .requiredOption('--as <slug>', 'the new tenant')
    .option('--key <file>', 'public keys in PEM, of which one must have signed it')
    .action(withSaasctl(importFile))
}

function formats(text: string): LineFormat[] {
  const list = [...new Set(text.split(',').map(part => part.trim()))]
  if (list.every(part => part === 'jsonl' || part === 'csv')) return list as LineFormat[]
  throw new InvalidArgumentError('It must be jsonl, csv or both with a comma.')
}

async function create(session: Session, options: CreateOptions, slug: string): Promise<void> {
  if (options.dryRun) return printSteps(session, 'export.create', await known(session, slug))
  const { saasctl, print, progress } = session
  const [{ createExport, mustFindExport }, { containerOf }] = await Promise.all([
    import('../../src/exports/create.js'),
    import('../../src/exports/target.js')
  ])
  const { out } = options
  const wish = {
    formats: options.format,
    container: out === undefined ? ('tar.gz' as const) : containerOf(out),
    target: out === undefined || out.startsWith('s3://') ? (out ?? null) : pathToFileURL(resolve(out)).href,
    masked: options.mask ?? false,
    certificate: options.encryptTo === undefined ? null : await readText(options.encryptTo),
    reason: options.reason ?? ''
  }
  const { id, operation, operationId } = await createExport(saasctl, slug, wish, session.wait())
  const { target, store, object, status, rowCount, bytes, sha512, recipient, expiresAt } = await mustFindExport(
    saasctl,
    id
  )
  print.one({ id, operationId, status, target, store, object, rows: rowCount, bytes, sha512, recipient, expiresAt })
  if (operation?.status !== 'succeeded') progress.next(`A worker makes it: saasctl export show ${id}`)
}

async function list(session: Session, options: PageFlags & { tenant?: string }): Promise<void> {
  const { saasctl, print } = session
  const { listExports } = await import('../../src/catalog/exports.js')
  const rows = await listExports(saasctl.catalog, { slug: options.tenant, ...pageOf(options) })
  const lines = rows.map(({ certificate, actor, ...row }) => ({
    ...row,
    by: actor.name,
    encrypted: certificate !== null
  }))
  print.list(lines, ['id', 'slug', 'status', 'rowCount', 'bytes', 'masked', 'by', 'reason', 'createdAt', 'expiresAt'])
  tellMore(session, rows, options)
}

async function show({ saasctl, print }: Session, _options: object, id: string): Promise<void> {
  const { mustFindExport } = await import('../../src/exports/create.js')
  print.one(await mustFindExport(saasctl, id))
}

async function download({ saasctl, print }: Session, _options: object, id: string, file: string): Promise<void> {
  const { downloadExport } = await import('../../src/exports/download.js')
  print.one(await downloadExport(saasctl, id, resolve(file)))
}

async function verify({ print, progress }: Desk, options: { key?: string }, file: string): Promise<void> {
  const { verifyExport } = await import('../../src/exports/verify.js')
  const verdict = await verifyExport(file, options.key === undefined ? undefined : await readText(options.key))
  const { problems, says, ...facts } = verdict
  if (print.forPrograms) print.one(verdict)
  else {
    const asked = says?.asked
    print.one({
      verdict: sentenceOf(verdict),
      keyId: facts.keyId,
      tenant: says?.tenant.slug,
      snapshot: says?.snapshot.at,
      asked: asked && `${asked.by}: ${asked.reason}`,
      redactions: says?.redactions.length,
      files: facts.files,
      bytes: facts.bytes
    })
  }
  if (facts.intact) return
  for (const { file, problem } of problems.slice(0, 50)) progress.notice(`${file} ${problem}.`)
  const [first] = problems
  throw new SaasctlError('CHECK_FOUND', `The export is not what was signed: ${first?.file} ${first?.problem}.`, {
    hint: 'Have it sent again, and do not rely on this copy.',
    data: { problems }
  })
}

function sentenceOf({ intact, signer }: { intact: boolean; signer: string }): string {
  if (!intact) return 'not intact'
  return signer === 'signed' ? 'intact, signed with the key' : 'intact, signer unknown'
}

async function importFile(session: Session, options: { as: string; key?: string }, file: string): Promise<void> {
  const { saasctl, print } = session
  const [{ importExport }, { createTenant }] = await Promise.all([
    import('../../src/exports/import.js'),
    import('../../src/tenants/create.js')
  ])
  const publicKey = options.key === undefined ? undefined : await readText(options.key)
  const wait = { ...session.wait(), wait: true }
  const { tenant, operation } = await importExport(saasctl, { file, slug: options.as, publicKey }, (wish, filling) =>
    createTenant(saasctl, wish, { template: wish.template }, wait, filling)
  )
  print.one({
    slug: tenant.slug,
    id: tenant.id,
    database: tenant.database,
    operationId: operation.id,
    ...(operation.result as object)
  })
}
