import { Readable } from 'node:stream'
import { type BackupRow, latestBackup, type MadeBackup } from '../catalog/backups.js'
import { type DatabaseTemplate, templateOfDatabase } from '../catalog/templates.js'
import { findTenant, type PlacedTenant } from '../catalog/tenants.js'
import type { DatabaseParts } from '../databases/work.js'
import type { DumpFacts } from '../engines/dump.js'
import { SaasctlError } from '../errors.js'
import { packageVersion } from '../version.js'
import { compressionFor } from './compress.js'
import { type Manifest, sealManifest } from './manifest.js'
import { objectsOf, removeObjects, takeBackObjects } from './names.js'
import { type Expected, transferProgress } from './progress.js'
import { makeTenantKey, readTenantKey, type TenantKey } from './tenant-key.js'
import { type Archived, writeArchive } from './write.js'

export interface BackupWish {
  id: string
  tenantId: string
  /** The store's address. */
  store: string
  /** Of the operation that makes it. */
  epoch: number
}

/**
 * Dumps the database and stores it with its manifest, which comes last: content without one is no backup. Whatever an
 * earlier attempt left is removed first, and a failure leaves nothing.
 */
export async function takeBackup(
  parts: DatabaseParts,
  wish: BackupWish,
  progress: (sentence: string) => void,
  signal: AbortSignal
): Promise<MadeBackup> {
  const { tools, database } = parts
  const { id, tenantId } = wish
  const [store, tenant, last] = await Promise.all([
    tools.stores.open(wish.store),
    findTenant(tools.catalog, tenantId),
    latestBackup(tools.catalog, tenantId)
  ])
  const key = await keyFor(parts, tenantId, last)
  const expected = expectedOf(parts, last)
  if (!tenant) throw new SaasctlError('TENANT_NOT_FOUND', `The catalog has no tenant ${tenantId}.`)
  // The first attempt has none before it.
  if (wish.epoch > 1) await removeObjects(store, tenantId, id)
  const names = objectsOf(tenantId, id, wish.epoch)
  const takenAt = new Date()
  try {
    const owner = await parts.logins.credentials('owner')
    const template = await templateOfDatabase(tools.catalog, database.templateId, parts.server.engine)
    const fingerprint = isSmall(expected) ? database.fingerprint : null
    const dump = await parts.engine.dump(parts.access, database.name, owner, { signal, path: tools.path, fingerprint })
    const archived = await writeArchive(dump.stream, {
      store,
      name: names.content,
      key,
      backup: id,
      compression: compressionFor(dump),
      signal,
      expectedBytes: expected?.bytes,
      onBytes: transferProgress(progress, expected)
    })
    const facts = await dump.facts
    const manifest = describe(parts, { id, tenant, takenAt, archived, facts, template })
    await store.put(names.manifest, Readable.from([sealManifest(key, manifest)]), { signal })
    return made(manifest, names.manifest, key)
  } catch (error) {
    await takeBackObjects(Promise.resolve(store), tenantId, id)
    // What was ended by the signal says so in many ways.
    throw signal.aborted ? signal.reason : error
  }
}

/** A key is made for the first backup alone. That the key of earlier ones is lost must be heard, not covered by a new one. */
function keyFor({ tools }: DatabaseParts, tenantId: string, last: BackupRow | undefined): Promise<TenantKey> {
  return last?.keyId ? readTenantKey(tools.keys, tenantId, last.keyId) : makeTenantKey(tools.keys, tenantId)
}

function expectedOf({ database }: DatabaseParts, last: BackupRow | undefined): Expected | undefined {
  if (last?.bytes) return { bytes: last.bytes, atMost: false }
  return database.bytes ? { bytes: database.bytes, atMost: true } : undefined
}

/**
 * Where there is much to read, what a session beside it costs is nothing, and rows that pg_dump has compressed itself take
 * a third less of this process to restore.
 */
const isSmall = (expected: Expected | undefined): boolean =>
  expected === undefined || expected.bytes < (expected.atMost ? 64e6 : 8e6)

interface Taken {
  id: string
  tenant: PlacedTenant
  takenAt: Date
  archived: Archived
  facts: DumpFacts
  template: DatabaseTemplate
}

function describe({ database, server }: DatabaseParts, taken: Taken): Manifest {
  const { tenant, archived, facts, template } = taken
  const { name, bytes, sha256, salt, compression } = archived
  return {
    v: 1,
    backup: taken.id,
    takenAt: taken.takenAt.toISOString(),
    program: packageVersion(),
    tenant: {
      id: tenant.id,
      slug: tenant.slug,
      displayName: tenant.displayName,
      plan: tenant.plan,
      template: tenant.template,
      templateVersion: template.version,
      labels: tenant.labels,
      region: tenant.region
    },
    database: {
      id: database.id,
      name: database.name,
      engine: server.engine,
      server: server.name,
      serverVersion: facts.serverVersion
    },
    format: facts.format,
    tool: facts.tool,
    compression,
    object: { name, bytes, sha256, salt },
    rows: facts.rows,
    fingerprint: facts.fingerprint,
    migration: facts.migrations.at(-1)?.name ?? null,
    migrationsChecksum: database.migrationsChecksum,
    migrations: facts.migrations.map(({ name }) => ({ name, checksum: template.checksums[name] ?? null }))
  }
}

function made(manifest: Manifest, name: string, key: TenantKey): MadeBackup {
  return {
    id: manifest.backup,
    object: manifest.object.name,
    manifest: name,
    keyId: key.id,
    bytes: manifest.object.bytes,
    rowCount: Object.values(manifest.rows).reduce((sum, rows) => sum + rows, 0),
    format: manifest.format,
    tool: manifest.tool,
    migration: manifest.migration,
    takenAt: new Date(manifest.takenAt)
  }
}
