import { tenantEvent } from '../catalog/audit.js'
import { settleAhead } from '../catalog/bindings.js'
import type { Transaction } from '../catalog/catalog.js'
import { place, setDatabaseState, setSchema } from '../catalog/databases.js'
import { recordChecksums } from '../catalog/templates.js'
import { setTenantStatus } from '../catalog/tenants.js'
import { bindAhead } from '../databases/bind.js'
import { migrationsChecksum } from '../databases/plan-migrations.js'
import { DatabaseWork } from '../databases/work.js'
import type { MigrationFile, OwnerSession } from '../engines/engine.js'
import { SaasctlError } from '../errors.js'
import { type Baseline, findBaseline } from '../templates/baseline.js'
import { readTemplate } from '../templates/register.js'
import type { TenantInput } from './work.js'

export interface ForeignInput extends TenantInput {
  template: string
  /** The last migration that is in the schema, `none`, or null to find out. */
  baseline: string | null
}

/** Work on a database whose schema was there before us. */
export class ForeignWork<Input extends ForeignInput = ForeignInput> extends DatabaseWork {
  seen: { files: MigrationFile[]; fingerprint: string; bytes: number } | undefined

  get input(): Input {
    return this.operation.input as Input
  }

  async files(): Promise<MigrationFile[]> {
    return (await readTemplate(this.tools.folders.templates, this.input.template)).migrations[this.engine.name] ?? []
  }

  async baselineIn(inside: OwnerSession): Promise<Baseline> {
    const { tools, server, input } = this
    return findBaseline(tools, inside, { files: await this.files(), server, asked: input.baseline })
  }

  /** Takes from the database itself what the catalog is to know of it. */
  async look(): Promise<void> {
    const { engine, access, names, logins } = this
    const { fingerprint, applied } = await engine.describe(access, names.database, await logins.credentials('owner'))
    const { bytes } = await engine.state(access, names)
    this.seen = { files: (await this.files()).slice(0, applied.length), fingerprint, bytes }
  }
}

/** The proof that an application gets in, and that it is the right database. */
export async function openAndIdentify(work: ForeignWork): Promise<void> {
  const { session, engine, access, names, logins, database, input } = work
  await session.openLogins(names, ['app_a', 'app_b', 'readonly'])
  await engine.identify(access, names.database, await logins.credentials(database.activeApp), database.id)
  await bindAhead(work, input.tenantId)
}

/** The tenant is there with this commit. */
export async function activate(tx: Transaction, work: ForeignWork, about: { from: string }): Promise<void> {
  const { database, engine, seen } = work
  const { tenantId, template } = work.input
  if (!seen) throw new SaasctlError('FAILED', `Database ${database.name} was not looked at.`)
  const { files, fingerprint, bytes } = seen
  const migration = files.at(-1)?.name ?? null
  await setSchema(tx, database.id, {
    migration,
    migrationsChecksum: migrationsChecksum(files, files),
    fingerprint,
    bytes
  })
  await recordChecksums(tx, template, engine.name, files)
  await setDatabaseState(tx, database.id, 'placed')
  await place(tx, tenantId, database.id)
  await setTenantStatus(tx, tenantId, 'active')
  await settleAhead(tx, database.id)
  tx.audit(tenantEvent(tenantId, 'tenant.activate', { ...about, database: database.name, baseline: migration }))
}
