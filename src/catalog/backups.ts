import type { ErrorRecord } from '../errors.js'
import { isUuid } from '../names.js'
import { prepared, type Queryable } from './catalog.js'

export type BackupStatus = 'making' | 'complete' | 'failed' | 'removing' | 'removed'
export type BackupReason = 'manual' | 'schedule' | 'final'

export interface BackupRow {
  id: string
  tenantId: string
  databaseId: string
  operationId: string | null
  reason: BackupReason
  status: BackupStatus
  store: string
  object: string | null
  manifest: string | null
  keyId: string | null
  bytes: number | null
  rowCount: number | null
  format: string | null
  tool: string | null
  migration: string | null
  createdAt: Date
  takenAt: Date | null
  finishedAt: Date | null
  verifiedAt: Date | null
  verifyError: ErrorRecord | null
  holdReason: string | null
  expiresAt: Date | null
  removedAt: Date | null
}

/** A line of `backup list`: with whose it is. */
export interface ListedBackup extends BackupRow {
  slug: string
}

const columns = `b.id, b.tenant_id as "tenantId", b.database_id as "databaseId", b.operation_id as "operationId", b.reason, b.status,
  b.store, b.object, b.manifest, b.key_id as "keyId", b.bytes::float8 as bytes, b.row_count::float8 as "rowCount", b.format, b.tool,
  b.migration, b.created_at as "createdAt", b.taken_at as "takenAt", b.finished_at as "finishedAt", b.verified_at as "verifiedAt",
  b.verify_error as "verifyError", b.hold_reason as "holdReason", b.expires_at as "expiresAt", b.removed_at as "removedAt"`

/** Of a query for `ListedBackup`: the backup is `b`. */
export const listedBackups = `select ${columns}, t.slug from saasctl.backup b join saasctl.tenant t on t.id = b.tenant_id`

export type NewBackup = Pick<BackupRow, 'id' | 'tenantId' | 'databaseId' | 'operationId' | 'reason' | 'store'> & {
  keepSeconds?: number | null
}

export async function insertBackup(q: Queryable, backup: NewBackup): Promise<void> {
  await q.query(
    prepared(`insert into saasctl.backup (id, tenant_id, database_id, operation_id, reason, store, expires_at)
     values ($1, $2, $3, $4, $5, $6, now() + make_interval(secs => $7))`),
    [
      backup.id,
      backup.tenantId,
      backup.databaseId,
      backup.operationId,
      backup.reason,
      backup.store,
      backup.keepSeconds ?? null
    ]
  )
}

export async function backupById(q: Queryable, id: string): Promise<ListedBackup | undefined> {
  if (!isUuid(id)) return undefined
  const [row] = await q.query<ListedBackup>(`${listedBackups} where b.id = $1`, [id])
  return row
}

/** The newest complete backup of a tenant. */
export async function latestBackup(q: Queryable, tenantId: string): Promise<ListedBackup | undefined> {
  const [row] = await q.query<ListedBackup>(
    prepared(`${listedBackups} where b.tenant_id = $1 and b.status = 'complete' order by b.id desc limit 1`),
    [tenantId]
  )
  return row
}

export interface BackupFilter {
  tenantId?: string
  statuses?: BackupStatus[]
  /** Only those before this id. */
  before?: string
  limit: number
}

/** Newest first. */
export async function listBackups(q: Queryable, filter: BackupFilter): Promise<ListedBackup[]> {
  return q.query<ListedBackup>(
    `${listedBackups} where ($1::uuid is null or b.tenant_id = $1) and b.status = any($2) and ($3::uuid is null or b.id < $3)
     order by b.id desc limit $4`,
    [filter.tenantId ?? null, filter.statuses ?? ['making', 'complete', 'failed'], filter.before ?? null, filter.limit]
  )
}

export type MadeBackup = Required<Pick<BackupRow, 'id'>> & {
  object: string
  manifest: string
  keyId: string
  bytes: number
  rowCount: number
  format: string
  tool: string
  migration: string | null
  takenAt: Date
}

export async function completeBackup(q: Queryable, made: MadeBackup): Promise<void> {
  await q.query(
    prepared(`update saasctl.backup set status = 'complete', object = $2, manifest = $3, key_id = $4, bytes = $5, row_count = $6, format = $7,
       tool = $8, migration = $9, taken_at = $10, finished_at = now() where id = $1`),
    [
      made.id,
      made.object,
      made.manifest,
      made.keyId,
      made.bytes,
      made.rowCount,
      made.format,
      made.tool,
      made.migration,
      made.takenAt
    ]
  )
}

export async function failBackup(q: Queryable, id: string): Promise<void> {
  await q.query(`update saasctl.backup set status = 'failed', finished_at = now() where id = $1`, [id])
}

/** What became of a restore to a scratch database. */
export async function recordVerification(q: Queryable, id: string, error: ErrorRecord | null): Promise<void> {
  await q.query(
    `update saasctl.backup set verify_error = $2, verified_at = case when $2::jsonb is null then now() else verified_at end
     where id = $1`,
    [id, error]
  )
}

/** Puts a hold on a complete backup, or takes it away; false when it is not complete (any more). */
export async function setHold(q: Queryable, id: string, reason: string | null): Promise<boolean> {
  const rows = await q.query(
    `update saasctl.backup set hold_reason = $2 where id = $1 and status = 'complete' returning id`,
    [id, reason]
  )
  return rows.length === 1
}
