import type { Json } from '../canonical.js'
import { type ErrorRecord, SaasctlError } from '../errors.js'
import type { Actor } from './audit.js'
import { prepared, type Queryable } from './catalog.js'

export type OperationStatus = 'queued' | 'running' | 'waiting' | 'undoing' | 'succeeded' | 'failed' | 'cancelled'
export type Exclusion = 'exclusive' | 'shared' | 'preempts'

export interface OperationRow<Input = Record<string, Json>> {
  id: string
  kind: string
  subject: string
  tenantId: string | null
  exclusion: Exclusion
  input: Input
  inputVersion: number
  requestChecksum: string | null
  actor: Actor
  status: OperationStatus
  cancelRequested: boolean
  after: string | null
  attempt: number
  nextAt: Date
  epoch: number
  owner: string | null
  leaseUntil: Date | null
  error: ErrorRecord | null
  result: Json | null
  createdAt: Date
  finishedAt: Date | null
}

export interface StepRow {
  position: number
  name: string
  status: 'pending' | 'begun' | 'done' | 'undone'
  begunAt: Date | null
  doneAt: Date | null
  error: ErrorRecord | null
}

export const operationColumns = `o.id, o.kind, o.subject, o.tenant_id as "tenantId", o.exclusion, o.input, o.input_version as "inputVersion",
  o.request_checksum as "requestChecksum", o.actor, o.status, o.cancel_requested as "cancelRequested", o.after, o.attempt,
  o.next_at as "nextAt", o.epoch, o.owner, o.lease_until as "leaseUntil", o.error, o.result, o.created_at as "createdAt",
  o.finished_at as "finishedAt"`

/** Not over yet, for SQL. */
export const open = `('queued', 'running', 'waiting', 'undoing')`

export function isOver(status: OperationStatus): boolean {
  return status === 'succeeded' || status === 'failed' || status === 'cancelled'
}

export interface NewOperation {
  id: string
  kind: string
  subject: string
  tenantId: string | null
  exclusion: Exclusion
  input: Json
  inputVersion: number
  idempotencyKey: string | null
  requestChecksum: string | null
  actor: Actor
  after: string | null
  steps: string[]
  /** Milliseconds until it is due; 0 is at once. */
  delayMs: number
  /** Who works it at once, in the promising process; null leaves it to the first worker. */
  claim: { owner: string; leaseMs: number } | null
  /** Whether its first step is begun with this. */
  begun: boolean
}

/** The operation, its steps and its wake-up job, in one statement. A claimed one wakes workers only when its lease has run out. */
export async function insertOperation(q: Queryable, operation: NewOperation): Promise<OperationRow> {
  const [row] = await q.query<OperationRow>(
    prepared(`with o as (
       insert into saasctl.operation (id, kind, subject, tenant_id, exclusion, input, input_version, idempotency_key, request_checksum,
         actor, after, status, epoch, owner, lease_until, next_at)
       values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11,
         case when $12::text is null then 'queued' else 'running' end, case when $12::text is null then 0 else 1 end, $12::text,
         case when $12::text is not null then clock_timestamp() + make_interval(secs => $13::float8) end,
         clock_timestamp() + make_interval(secs => $15::float8))
       returning *),
     s as (
       insert into saasctl.operation_step (operation_id, position, name, status, begun_at)
       select $1, n, name, case when $16 and n = 1 then 'begun' else 'pending' end, case when $16 and n = 1 then clock_timestamp() end
       from unnest($14::text[]) with ordinality as step (name, n))
     select ${operationColumns}, ${job('o.id', 'coalesce(o.lease_until, o.next_at)')} from o`),
    [
      operation.id,
      operation.kind,
      operation.subject,
      operation.tenantId,
      operation.exclusion,
      JSON.stringify(operation.input),
      operation.inputVersion,
      operation.idempotencyKey,
      operation.requestChecksum,
      operation.actor,
      operation.after,
      operation.claim?.owner ?? null,
      (operation.claim?.leaseMs ?? 0) / 1000,
      operation.steps,
      operation.delayMs / 1000,
      operation.begun
    ]
  )
  if (!row) throw new SaasctlError('FAILED', 'The operation was not written.')
  return row
}

/** A job is only a wake-up; its key is the operation, so there is one at most. Retry timing is the ledger's, so it runs once. */
export function job(id: string, runAt: string): string {
  return `(graphile_worker.add_job('operation', json_build_object('id', ${id}), run_at => ${runAt}, max_attempts => 1,
    job_key => ${id}::text) is not null) as job`
}

export interface FinishedOperation {
  id: string
  kind: Pick<OperationRow, 'inputVersion' | 'exclusion'> & { name: string }
  tenantId: string
  input: Json
  idempotencyKey: string | null
  requestChecksum: string | null
  actor: Actor
}

/** An operation that one catalog transaction did in full: a record for whoever asks, and for the idempotency key. */
export async function insertFinishedOperation(q: Queryable, operation: FinishedOperation): Promise<OperationRow> {
  const [row] = await q.query<OperationRow>(
    `insert into saasctl.operation as o (id, kind, subject, tenant_id, exclusion, input, input_version, idempotency_key, request_checksum,
       actor, status, finished_at)
     values ($1, $2, 'tenant:' || $3::uuid, $3, $4, $5, $6, $7, $8, $9, 'succeeded', clock_timestamp()) returning ${operationColumns}`,
    [
      operation.id,
      operation.kind.name,
      operation.tenantId,
      operation.kind.exclusion,
      JSON.stringify(operation.input),
      operation.kind.inputVersion,
      operation.idempotencyKey,
      operation.requestChecksum,
      operation.actor
    ]
  )
  if (!row) throw new SaasctlError('FAILED', 'The operation was not written.')
  return row
}

export async function operationById(q: Queryable, id: string): Promise<OperationRow | undefined> {
  const [row] = await q.query<OperationRow>(
    prepared(`select ${operationColumns} from saasctl.operation o where o.id = $1`),
    [id]
  )
  return row
}

export async function operationByKey(q: Queryable, idempotencyKey: string): Promise<OperationRow | undefined> {
  const [row] = await q.query<OperationRow>(
    prepared(`select ${operationColumns} from saasctl.operation o where o.idempotency_key = $1`),
    [idempotencyKey]
  )
  return row
}

export async function stepsOf(q: Queryable, id: string): Promise<StepRow[]> {
  return q.query<StepRow>(
    prepared(`select position, name, status, begun_at as "begunAt", done_at as "doneAt", error
     from saasctl.operation_step where operation_id = $1 order by position`),
    [id]
  )
}

export interface OperationFilter {
  tenantId?: string
  open?: boolean
  before?: string
  limit: number
}

/** Newest first; ids are in the order of time. */
export async function listOperations(
  q: Queryable,
  filter: OperationFilter
): Promise<Array<OperationRow & { slug: string | null }>> {
  return q.query(
    `select ${operationColumns}, t.slug from saasctl.operation o left join saasctl.tenant t on t.id = o.tenant_id
     where ($1::uuid is null or o.tenant_id = $1) and (not $2 or o.status in ${open}) and ($3::uuid is null or o.id < $3)
     order by o.id desc limit $4`,
    [filter.tenantId ?? null, filter.open ?? false, filter.before ?? null, filter.limit]
  )
}

/** An open operation that holds the tenant: an exclusive one, or with `any` every one. */
export async function openOperationOf(q: Queryable, tenantId: string, any: boolean): Promise<OperationRow | undefined> {
  const [row] = await q.query<OperationRow>(
    prepared(`select ${operationColumns} from saasctl.operation o
     where o.tenant_id = $1 and o.status in ${open} and (o.exclusion = 'exclusive' or $2) order by o.id limit 1`),
    [tenantId, any]
  )
  return row
}

/** The open operation on a subject that is no tenant, if there is one. */
export async function openOperationOn(q: Queryable, kind: string, subject: string): Promise<OperationRow | undefined> {
  const [row] = await q.query<OperationRow>(
    `select ${operationColumns} from saasctl.operation o where o.kind = $1 and o.subject = $2 and o.status in ${open} order by o.id limit 1`,
    [kind, subject]
  )
  return row
}

/** One at a time: whoever promises something for this subject comes after whoever does it now. */
export async function lockSubject(tx: Queryable, subject: string): Promise<void> {
  await tx.query('select pg_advisory_xact_lock(hashtextextended($1, 0))', [subject])
}

/** Asks the owner to stop at the next step. True when the operation was still open. */
export async function requestCancel(q: Queryable, id: string): Promise<boolean> {
  const rows = await q.query(
    `update saasctl.operation o set cancel_requested = true, next_at = least(o.next_at, clock_timestamp())
     where o.id = $1 and o.status in ${open} returning ${job('o.id', 'clock_timestamp()')}`,
    [id]
  )
  return rows.length === 1
}

/** Asks the tenant's open operations of this kind to stop: what pre-empts them is stronger. */
export async function cancelKind(q: Queryable, tenantId: string, kind: string): Promise<void> {
  await q.query(
    `update saasctl.operation set cancel_requested = true where tenant_id = $1 and kind = $2 and status in ${open}`,
    [tenantId, kind]
  )
}

/** Operations that began and that nobody owns any more. */
export async function orphanedOperations(q: Queryable): Promise<OperationRow[]> {
  return q.query<OperationRow>(
    `select ${operationColumns} from saasctl.operation o
     where o.status in ${open} and o.next_at <= clock_timestamp() and (o.lease_until is null or o.lease_until < clock_timestamp())
     order by o.id limit 1000`
  )
}
