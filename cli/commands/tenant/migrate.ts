import type { Command } from 'commander'
import type { MigrationWish } from '../../../src/databases/plan-migrations.js'
import { confirmLoss } from '../../confirm.js'
import { collectNames } from '../../flags.js'
import { onTenants } from '../../fleet.js'
import { verb } from '../../help.js'
import { chosenSlugs, type SelectorFlags, selectorFlags } from '../../selector.js'
import { type Session, withSaasctl } from '../../session.js'

interface Options extends SelectorFlags {
  to?: string
  down?: true
  confirm?: string[]
  dryRun?: true
}

export function addMigrate(noun: Command): void {
  const migrate = verb(noun, 'migrate [slugs...]', 'Bring a tenant’s schema to the newest migration, or to another', [
    'tenant migrate acme',
    'tenant migrate acme --to 0007_events',
    'tenant migrate -l plan=free --dry-run  # what would be applied',
    'tenant migrate acme --down --confirm acme  # undoes the last one, and what only it holds'
  ])
    .option('--to <migration>', 'up: the last to apply; down: the last to keep')
    .option('--down', 'undo: the last migration, or all after --to')
    .option('--confirm <slug>', 'agrees to what --down takes away; several with commas', collectNames)
    .option('--dry-run', 'print the migrations and change nothing')
  selectorFlags(migrate).action(withSaasctl(migrateTenants))
  verb(noun, 'migrations <slug>', 'List the migrations of a tenant: applied and pending', [
    'tenant migrations acme'
  ]).action(withSaasctl(listMigrations))
}

async function migrateTenants(session: Session, options: Options, slugs: string[]): Promise<void> {
  const { saasctl } = session
  const wish: MigrationWish = { direction: options.down ? 'down' : 'up', to: options.to ?? null }
  const chosen = await chosenSlugs(saasctl, slugs, options, ['active', 'suspended'])
  if (options.dryRun) return planMigrations(session, chosen, wish)
  for (const slug of options.down ? chosen : []) {
    await confirmLoss(`Migrating ${slug} down loses what only the undone migrations hold.`, slug, options.confirm ?? [])
  }
  const { migrateTenant } = await import('../../../src/tenants/migrate.js')
  await onTenants(session, chosen, 'migrated', (saasctl, slug, wait) => migrateTenant(saasctl, slug, wish, wait))
}

async function planMigrations(
  { saasctl, print, progress }: Session,
  slugs: string[],
  wish: MigrationWish
): Promise<void> {
  const { planTenantMigration } = await import('../../../src/tenants/migrate.js')
  const lines: Array<{ slug: string; direction: string; migration: string; phase: string }> = []
  for (const slug of slugs) {
    const plan = await planTenantMigration(saasctl, slug, wish)
    lines.push(
      ...plan.map(({ file }) => ({ slug, direction: wish.direction, migration: file.name, phase: file.options.phase }))
    )
  }
  print.list(lines, ['slug', 'direction', 'migration', 'phase'])
  progress.notice(
    lines.length === 0 ? 'There is nothing to migrate.' : 'Nothing was changed; this is what would be run.'
  )
}

async function listMigrations({ saasctl, print, progress }: Session, _options: object, slug: string): Promise<void> {
  const { tenantMigrations } = await import('../../../src/tenants/migrate.js')
  const { files, applied } = await tenantMigrations(saasctl, slug)
  const known = new Set(applied.map(({ name }) => name))
  const pending = files.filter(({ name }) => !known.has(name))
  const lines = [
    ...applied.map(({ name, at }) => ({ name, state: 'applied', appliedAt: at })),
    ...pending.map(({ name }) => ({ name, state: 'pending', appliedAt: null }))
  ]
  print.list(lines, ['name', 'state', 'appliedAt'])
  if (pending.length > 0) progress.next(`Apply them with "saasctl tenant migrate ${slug}".`)
}
