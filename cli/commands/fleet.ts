import type { Command } from 'commander'
import type { PolicyReport } from '../../src/backups/policy.js'
import type { FailedTenant } from '../../src/fleet/each.js'
import type { FleetStatus } from '../../src/fleet/status.js'
import { count, milliseconds } from '../flags.js'
import { verb } from '../help.js'
import { type SelectorFlags, selectedPages, selectorFlags, selectorOf } from '../selector.js'
import { type Session, withSaasctl } from '../session.js'
import { plural, size } from '../text.js'
import { addFleetBackup } from './fleet/backup.js'

export function fleet(noun: Command): void {
  selectorFlags(
    verb(noun, 'status', 'Versions, skew, sizes and troubles of all tenants, from the catalog alone', [
      'fleet status  # exit 8 when a backup policy is broken',
      'fleet status -l plan=pro -o json'
    ])
  ).action(withSaasctl(status))
  selectorFlags(
    verb(noun, 'drift [slugs...]', 'Compare each database with what its template makes at the same version', [
      'fleet drift  # every tenant; exit 8 when one differs',
      'fleet drift acme --fix-plan > repair.sql  # SQL to review, never run'
    ])
  )
    .option('--fix-plan', 'print SQL that would take the differences away; nothing is run')
    .option('--concurrency <n>', 'databases at once', count)
    .action(withSaasctl(drift))
  selectorFlags(
    verb(noun, 'query <file> [slugs...]', 'Run one SELECT in each tenant, as its read-only login', [
      'fleet query invoices.sql --all -o ndjson > invoices.ndjson',
      'fleet query invoices.sql -l plan=pro --max-rows 10 --reason "ticket 4711"'
    ])
  )
    .option('--statement-timeout <duration>', 'the server’s bound on each tenant’s statement', milliseconds, 30_000)
    .option('--max-rows <n>', 'rows of each tenant at most', count, 10_000)
    .option('--concurrency <n>', 'databases at once', count)
    .option('--reason <text>', 'for the audit trail')
    .action(withSaasctl(query))
  addFleetBackup(noun)
}

async function status({ saasctl, print, progress }: Session, flags: SelectorFlags): Promise<void> {
  const [{ fleetStatus }, { checkPolicies, refuseBroken }] = await Promise.all([
    import('../../src/fleet/status.js'),
    import('../../src/backups/policy.js')
  ])
  const selector = selectorOf(flags)
  const [found, backups] = await Promise.all([
    fleetStatus(saasctl.catalog, selector),
    checkPolicies(saasctl.catalog, selector)
  ])
  if (print.forPrograms) print.one({ ...found, backups })
  else tellStatus({ print, progress }, found, backups)
  refuseBroken(backups)
}

type Told = Pick<Session, 'print' | 'progress'>

function tellStatus({ print, progress }: Told, found: FleetStatus, { totals, broken }: PolicyReport): void {
  const { tenants, behind, bytes, versions, servers, largest, troubles } = found
  if (tenants === 0) {
    progress.notice('No tenant fits.')
    return
  }
  const { oldestBackupAt, oldestVerifiedAt } = totals
  print.one({ tenants, behind, size: size(bytes), troubles: troubles.length, oldestBackupAt, oldestVerifiedAt })
  print.text('', {})
  print.list(
    versions.map(one => ({ ...one, size: size(one.bytes), at: one.migration === one.head ? 'head' : 'behind' })),
    ['template', 'engine', 'migration', 'at', 'tenants', 'size']
  )
  print.text('', {})
  print.list(
    servers.map(one => ({ ...one, size: size(one.bytes), largest: size(one.largestBytes) })),
    ['server', 'status', 'tenants', 'capacity', 'size', 'largest', 'drifted']
  )
  if (largest.length > 0) print.text('', {})
  print.list(
    largest.map(one => ({ ...one, size: size(one.bytes) })),
    ['slug', 'server', 'migration', 'size']
  )
  if (broken.length > 0) print.text('', {})
  print.list(broken, ['slug', 'plan', 'broken', 'lastBackupAt', 'lastVerifiedAt'])
  if (troubles.length === 0) return
  print.text('', {})
  print.told(troubles, ({ slug, why, error, differences, next }) => [
    `${slug}: ${why}: ${error?.message ?? `${plural(differences ?? 0, 'difference')} from its template.`}`,
    `  → ${next}`
  ])
}

interface DriftFlags extends SelectorFlags {
  fixPlan?: true
  concurrency?: number
}

async function drift(session: Session, flags: DriftFlags, slugs: string[]): Promise<void> {
  const { saasctl, print, progress, interrupt } = session
  const [{ findDrift }, { tellDifference }] = await Promise.all([
    import('../../src/fleet/drift.js'),
    import('../../src/templates/compare.js')
  ])
  interrupt.follow()
  const found: object[] = []
  const result = await findDrift(saasctl, await selectedPages(saasctl, slugs, flags), {
    ...session.wait(),
    concurrency: flags.concurrency ?? saasctl.config.concurrency,
    onDrift: tenant => {
      progress.clear()
      if (print.streams) print.one(tenant)
      else if (print.forPrograms) found.push(tenant)
      else if (flags.fixPlan) print.text(planOf(tenant), {})
      else print.told([tenant], one => [heading(one), ...one.differences.map(it => `  ${tellDifference(it)}`)])
    }
  })
  if (print.forPrograms && !print.streams) {
    print.one({ ...result, tenants: found, failed: result.failed.map(failedLine) })
  }
  tellFailed(session, result.failed)
  await verdict(result)
  progress.notice(`${plural(result.checked, 'tenant')} compared, and no difference.`)
}

const heading = ({ slug, server, migration, differences }: Drifted) =>
  `${slug} on ${server}, at ${migration ?? 'no migration'}: ${plural(differences.length, 'difference')}`

type Drifted = Parameters<Parameters<typeof import('../../src/fleet/drift.js').findDrift>[2]['onDrift']>[0]

const planOf = (tenant: Drifted) =>
  [
    `-- Tenant ${heading(tenant)}.`,
    '-- A plan to review. Nothing of it was run; apply what you agree with as a migration.',
    ...tenant.repair,
    ''
  ].join('\n')

async function verdict(result: { checked: number; drifted: number; failed: FailedTenant[] }): Promise<void> {
  const { SaasctlError } = await import('../../src/errors.js')
  const failed = result.failed.map(({ tenant }) => tenant.slug)
  if (result.drifted > 0) {
    const what = `${result.drifted} of ${plural(result.checked, 'tenant')} differ from what the template makes.`
    throw new SaasctlError('CHECK_FOUND', what, {
      hint: 'Print SQL to review with "saasctl fleet drift --fix-plan".',
      data: { failed }
    })
  }
  await failFor(failed, 'could not be compared', result.checked)
}

async function failFor(failed: string[], what: string, done: number): Promise<void> {
  if (failed.length === 0) return
  const { SaasctlError } = await import('../../src/errors.js')
  throw new SaasctlError(
    'SOME_FAILED',
    `${plural(failed.length, 'tenant')} ${what}${done > 0 ? '; the others are done' : ''}.`,
    {
      hint: 'Mend what they met and run it again for them.',
      data: { failed }
    }
  )
}

const failedLine = ({ tenant, error }: FailedTenant) => ({ slug: tenant.slug, error: error.toJSON() })

/** One line for each reason: a server that is down has many tenants. */
function tellFailed({ progress }: Session, failed: FailedTenant[]): void {
  const byMessage = new Map<string, string[]>()
  for (const { tenant, error } of failed)
    byMessage.set(error.message, [...(byMessage.get(error.message) ?? []), tenant.slug])
  for (const [message, slugs] of byMessage) {
    const whom = slugs.length > 3 ? `${slugs.slice(0, 3).join(', ')} and ${slugs.length - 3} more` : slugs.join(', ')
    progress.notice(`${whom}: ${message}`)
  }
}

interface QueryFlags extends SelectorFlags {
  statementTimeout: number
  maxRows: number
  concurrency?: number
  reason?: string
}

async function query(session: Session, flags: QueryFlags, file: string, slugs: string[]): Promise<void> {
  const { saasctl, print, progress } = session
  const [{ queryFleet }, { readQuery }] = await Promise.all([
    import('../../src/fleet/query.js'),
    import('../../src/fleet/read-query.js')
  ])
  const sql = await readQuery(file)
  const all: object[] = []
  const result = await queryFleet(saasctl, await selectedPages(saasctl, slugs, flags), {
    file,
    sql,
    selector: { ...selectorOf(flags), ...(slugs.length > 0 && { slugs }) },
    reason: flags.reason,
    concurrency: flags.concurrency ?? saasctl.config.concurrency,
    timeoutMs: flags.statementTimeout,
    maxRows: flags.maxRows,
    take: async (tenant, rows) => {
      const lines = rows.map(row => ({ tenant, ...row }))
      if (print.streams || !print.forPrograms) await print.streamed(lines)
      else all.push(...lines)
    }
  })
  if (print.forPrograms && !print.streams) print.list(all, [])
  for (const slug of result.cut) progress.notice(`${slug} has more than ${flags.maxRows} rows; the rest was not read.`)
  progress.notice(`${plural(result.rows, 'row')} of ${plural(result.tenants, 'tenant')}.`)
  tellFailed(session, result.failed)
  await failFor(
    result.failed.map(({ tenant }) => tenant.slug),
    'did not answer',
    result.tenants
  )
}
