import type { Json } from '../canonical.js'
import { tenantEvent } from '../catalog/audit.js'
import { knownChecksums } from '../catalog/templates.js'
import { migrateDatabase } from '../databases/migrate.js'
import { type MigrationPlan, type MigrationWish, planMigrations } from '../databases/plan-migrations.js'
import { DatabaseWork, gather } from '../databases/work.js'
import type { AppliedMigration, MigrationFile } from '../engines/engine.js'
import type { Context, Kind } from '../operations/kind.js'
import { readTemplate } from '../templates/register.js'
import { databaseIdOfTenant, inState, lockForChange, mustFind } from './find.js'
import { changeTenant, startOnTenant, type TenantInput, type TenantOutcome, type Wait } from './work.js'

interface MigrateInput extends TenantInput {
  template: string
  direction: 'up' | 'down'
  to: string | null
}

class MigrateWork extends DatabaseWork {
  protected override get part(): 'schema' {
    return 'schema'
  }
}

/** Migrates one tenant as its owner. Each migration is whole by itself, so what was applied before a failure stays. */
export const tenantMigrate: Kind<MigrateInput, MigrateWork> = {
  name: 'tenant.migrate',
  inputVersion: 1,
  exclusion: 'exclusive',
  open: async (tools, operation) => new MigrateWork(operation, await gather(tools, operation.input.databaseId)),
  steps: [{ name: 'migrate', act: apply }]
}

async function apply(work: MigrateWork, progress: (sentence: string) => void): Promise<void> {
  const { template, direction, to } = work.operation.input as MigrateInput
  const { migrations } = await readTemplate(work.tools.folders.templates, template)
  const inside = await work.session.enterDatabase(work.names, await work.logins.credentials('owner'))
  try {
    await migrateDatabase(work, inside, template, migrations[work.engine.name] ?? [], { direction, to }, progress)
  } finally {
    await inside.end()
  }
}

/** Migrates a tenant up, to the newest file or to `to`, or down. Its files are checked against its ledger before anything starts. */
export async function migrateTenant(
  context: Context,
  slug: string,
  wish: MigrationWish,
  wait: Wait
): Promise<TenantOutcome> {
  await planTenantMigration(context, slug, wish)
  return changeTenant(context, wait, async (tx, claim) => {
    const tenant = await lockForChange(tx, slug, 'migrated', ['active', 'suspended'])
    const more: Record<string, Json> = { template: tenant.template, ...wish }
    tx.audit(tenantEvent(tenant.id, 'tenant.migrate', { ...wish, before: tenant.migration }))
    return startOnTenant(tx, context, tenantMigrate, tenant, claim, more)
  })
}

/** What `migrateTenant` would run, without running it. */
export async function planTenantMigration(context: Context, slug: string, wish: MigrationWish): Promise<MigrationPlan> {
  const { files, applied, known } = await tenantMigrations(context, slug)
  return planMigrations(files, applied, known, wish)
}

export interface TenantMigrations {
  files: MigrationFile[]
  applied: AppliedMigration[]
  known: Map<string, string>
}

/** The template's files beside what the tenant's own ledger says is applied. */
export async function tenantMigrations(context: Context, slug: string): Promise<TenantMigrations> {
  const tenant = inState(await mustFind(context.catalog, slug), 'entered', ['active', 'suspended'])
  const { engine, access, database, logins } = await gather(context, databaseIdOfTenant(tenant))
  const [content, applied, known] = await Promise.all([
    readTemplate(context.folders.templates, tenant.template),
    engine.appliedMigrations(access, database.name, await logins.credentials('owner')),
    knownChecksums(context.catalog, tenant.template, engine.name)
  ])
  return { files: content.migrations[engine.name] ?? [], applied, known }
}
