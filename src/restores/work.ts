import { openArchive } from '../archives/read.js'
import type { Json } from '../canonical.js'
import { backupById } from '../catalog/backups.js'
import type { Transaction } from '../catalog/catalog.js'
import { type DatabaseRow, setSchema } from '../catalog/databases.js'
import type { OperationRow } from '../catalog/operations.js'
import { findTenant } from '../catalog/tenants.js'
import type { Logins } from '../databases/logins.js'
import { migrateDatabase } from '../databases/migrate.js'
import { migrationsChecksum } from '../databases/plan-migrations.js'
import { type DatabaseParts, DatabaseWork, gather } from '../databases/work.js'
import type { DatabaseNames, LoginRole } from '../engines/engine.js'
import { SaasctlError } from '../errors.js'
import { readTemplate } from '../templates/register.js'
import { type Content, type Filled, fillAndCompare, inside } from './fill.js'

/** Where the content comes from: a backup, or the database that a tenant has now. */
export type Source = { backup: string } | { live: string }

export interface RestoreInput extends Record<string, Json> {
  tenantId: string
  /** The database that is made. */
  databaseId: string
  slug: string
  template: string
  source: Source
  /** Brings it to this migration, or to the newest file for null; false: it stays at what it was dumped at. */
  migrate: { to: string | null } | false
  /** Whose database it was, when the new one is another tenant's. */
  sourceTenantId: string | null
}

/** A new database beside the one that a tenant has, or had when the work began. */
export class BesideWork extends DatabaseWork {
  readonly input: RestoreInput
  /** The other one. */
  readonly other: { names: DatabaseNames; logins: Logins; schema: DatabaseRow }
  #filled: Filled | undefined

  constructor(operation: OperationRow, parts: DatabaseParts, other: DatabaseParts) {
    super(operation, parts)
    this.input = operation.input as RestoreInput
    const { names, logins, database } = other
    this.other = { names, logins, schema: database }
  }

  async fill(progress: (sentence: string) => void, signal: AbortSignal): Promise<void> {
    this.#filled = await fillAndCompare(this, () => this.#content(signal), progress, signal)
  }

  /** What the catalog learns of the new database; the checksum says what the template's files say of its migrations today. */
  async recordFilled(tx: Transaction): Promise<void> {
    if (!this.#filled) return
    const { migrations, fingerprint, bytes } = this.#filled
    const files = await this.#files()
    const applied = migrations.map(name => ({ name }))
    await setSchema(tx, this.database.id, {
      migration: migrations.at(-1) ?? null,
      migrationsChecksum: migrationsChecksum(applied, files),
      fingerprint,
      bytes
    })
  }

  async migrate(progress: (sentence: string) => void): Promise<void> {
    const { template, migrate } = this.input
    if (!migrate) return
    const files = await this.#files()
    await inside(this, owned =>
      migrateDatabase(this, owned, template, files, { direction: 'up', to: migrate.to }, progress)
    )
  }

  /** Logs in as the tenant, which is also the slow first connect. */
  async look(): Promise<void> {
    const app = await this.logins.credentials(this.database.activeApp)
    await this.engine.identify(this.access, this.names.database, app, this.database.id)
  }

  /** The app logins that may enter the new database: none while its tenant is suspended; a tenant in the making is let in. */
  async appLogins(): Promise<LoginRole[]> {
    const open = this.input.sourceTenantId !== null || (await this.#isActive(this.input.tenantId))
    return open ? ['app_a', 'app_b'] : []
  }

  /** Those that may enter the other one. */
  async otherAppLogins(): Promise<LoginRole[]> {
    return (await this.#isActive(this.heldTenantId)) ? ['app_a', 'app_b'] : []
  }

  /** Whose tenant is held: that of the source, where another one is made. */
  get heldTenantId(): string {
    return this.input.sourceTenantId ?? this.input.tenantId
  }

  async #isActive(tenantId: string): Promise<boolean> {
    return (await findTenant(this.tools.catalog, tenantId))?.status === 'active'
  }

  async #files() {
    const { migrations } = await readTemplate(this.tools.folders.templates, this.input.template)
    return migrations[this.engine.name] ?? []
  }

  async #content(signal: AbortSignal): Promise<Content> {
    const { source } = this.input
    return 'backup' in source ? await this.#fromBackup(source.backup) : await this.#fromLive(source.live, signal)
  }

  async #fromBackup(id: string): Promise<Content> {
    const row = await backupById(this.tools.catalog, id)
    if (!row) throw new SaasctlError('BACKUP_NOT_FOUND', `There is no backup ${id}.`)
    const { manifest, content } = await openArchive(this.tools, row)
    const { format, rows, fingerprint, migrations } = manifest
    const facts = { rows, fingerprint, migrations }
    return { title: `Backup ${id}`, format, stream: await content(), facts: Promise.resolve(facts) }
  }

  async #fromLive(databaseId: string, signal: AbortSignal): Promise<Content> {
    const { tools } = this
    const { engine, access, names, logins, database } = await gather(tools, databaseId)
    const owner = await logins.credentials('owner')
    const { fingerprint } = database
    const dump = await engine.dump(access, names.database, owner, { signal, path: tools.path, fingerprint })
    return { title: `The dump of database ${database.name}`, ...dump }
  }
}
