import { isUuid } from '../names.js'
import type { Actor } from './audit.js'
import { only, type Queryable } from './catalog.js'
import { underHold } from './holds.js'

export type ExportStatus = 'making' | 'ready' | 'failed' | 'expired'

export interface ExportRow {
  id: string
  tenantId: string
  operationId: string
  status: ExportStatus
  formats: string[]
  container: 'folder' | 'tar.gz' | 'zip'
  target: string | null
  store: string | null
  object: string | null
  masked: boolean
  certificate: string | null
  /** SHA-256 of the certificate, by which whoever can open it is known. */
  recipient: string | null
  actor: Actor
  reason: string
  bytes: number | null
  sha512: string | null
  position: string | null
  snapshotAt: Date | null
  rowCount: number | null
  keyId: string | null
  createdAt: Date
  finishedAt: Date | null
  expiresAt: Date | null
}

/** A line of `export list`. */
export interface ListedExport extends ExportRow {
  slug: string
}

const columns = `e.id, e.tenant_id as "tenantId", e.operation_id as "operationId", e.status, e.formats, e.container, e.target,
  e.store, e.object, e.masked, e.certificate, e.recipient, e.actor, e.reason, e.bytes::float8 as bytes, e.sha512, e.position,
  e.snapshot_at as "snapshotAt", e.row_count::float8 as "rowCount", e.key_id as "keyId", e.created_at as "createdAt",
  e.finished_at as "finishedAt", e.expires_at as "expiresAt"`

export type NewExport = Pick<
  ExportRow,
  'id' | 'tenantId' | 'operationId' | 'formats' | 'container' | 'target' | 'masked' | 'certificate' | 'actor' | 'reason'
>

/** Says by which fingerprint whoever can open it is known; null when everybody can. */
export async function insertExport(q: Queryable, wish: NewExport): Promise<Pick<ExportRow, 'recipient'>> {
  const rows = await q.query<Pick<ExportRow, 'recipient'>>(
    `insert into saasctl.export (id, tenant_id, operation_id, formats, container, target, masked, certificate, actor, reason)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) returning recipient`,
    [
      wish.id,
      wish.tenantId,
      wish.operationId,
      wish.formats,
      wish.container,
      wish.target,
      wish.masked,
      wish.certificate,
      wish.actor,
      wish.reason
    ]
  )
  return only(rows, 'the row of an export')
}

export type ExportAnswer = 'asked' | 'absent' | 'busy' | 'reason' | 'formats' | 'token' | 'certificate'

/**
 * The same for a login that may only ask, with its operation: a worker makes it. The catalog looks by itself whom the token
 * proves; without one the actor's name is asserted. Says why not, when it is not asked for.
 */
export async function requestExport(
  q: Queryable,
  wish: Omit<NewExport, 'tenantId'> & { tenant: string; tokenHash: Buffer | null }
): Promise<ExportAnswer> {
  const rows = await q.query<{ answer: ExportAnswer }>(
    'select saasctl.export_request($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) as answer',
    [
      wish.id,
      wish.operationId,
      wish.tenant,
      wish.formats,
      wish.container,
      wish.masked,
      wish.certificate,
      wish.actor.name,
      wish.reason,
      wish.tokenHash
    ]
  )
  return only(rows, 'the request of an export').answer
}

/** Whether this login may do more than look and ask. */
export async function mayChange(q: Queryable): Promise<boolean> {
  const [row] = await q.query<{ may: boolean }>(`select has_table_privilege('saasctl.export', 'insert') as may`)
  return row?.may === true
}

export async function exportById(q: Queryable, id: string): Promise<ListedExport | undefined> {
  if (!isUuid(id)) return undefined
  const [row] = await q.query<ListedExport>(
    `select ${columns}, t.slug from saasctl.export e join saasctl.tenant t on t.id = e.tenant_id where e.id = $1`,
    [id]
  )
  return row
}

/** Newest first; after the id that ended the page before. */
export async function listExports(
  q: Queryable,
  { slug, before, limit }: { slug?: string | undefined; before?: string; limit: number }
): Promise<ListedExport[]> {
  return q.query<ListedExport>(
    `select ${columns}, t.slug from saasctl.export e join saasctl.tenant t on t.id = e.tenant_id
     where ($1::text is null or t.slug = $1 or t.id::text = $1) and ($2::uuid is null or e.id < $2)
     order by e.id desc limit $3`,
    [slug ?? null, before ?? null, limit]
  )
}

export type FinishedExport = Pick<
  ExportRow,
  'store' | 'object' | 'bytes' | 'sha512' | 'position' | 'snapshotAt' | 'rowCount' | 'keyId'
>

/** `keepSeconds` counts from now, by the catalog's clock; null keeps it for ever. */
export async function finishExport(
  q: Queryable,
  id: string,
  done: FinishedExport,
  keepSeconds: number | null
): Promise<void> {
  await q.query(
    `update saasctl.export set status = 'ready', store = $2, object = $3, bytes = $4, sha512 = $5, position = $6,
       snapshot_at = $7, row_count = $8, key_id = $9, finished_at = now(), expires_at = now() + make_interval(secs => $10::float8)
     where id = $1`,
    [
      id,
      done.store,
      done.object,
      done.bytes,
      done.sha512,
      done.position,
      done.snapshotAt,
      done.rowCount,
      done.keyId,
      keepSeconds
    ]
  )
}

export async function setExportStatus(q: Queryable, id: string, status: ExportStatus): Promise<void> {
  await q.query('update saasctl.export set status = $2, finished_at = coalesce(finished_at, now()) where id = $1', [
    id,
    status
  ])
}

/** Those whose time is over, but none of a tenant that is held. */
export async function expiredExports(q: Queryable, limit: number): Promise<ListedExport[]> {
  return q.query<ListedExport>(
    `select ${columns}, t.slug from saasctl.export e join saasctl.tenant t on t.id = e.tenant_id
     where e.status = 'ready' and e.expires_at <= now() and not ${underHold('e.tenant_id')} order by e.expires_at limit $1`,
    [limit]
  )
}
