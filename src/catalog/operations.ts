import type { Json } from '../canonical.js'
import { type ErrorRecord, SaasctlError } from '../errors.js'
import type { Actor } from './audit.js'
import type { Queryable } from './catalog.js'

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

const columns = `o.id, o.kind, o.subject, o.tenant_id as "tenantId", o.exclusion, o.input, o.input_version as "inputVersion",
  o.request_checksum as "requestChecksum", o.actor, o.status, o.cancel_requested as "cancelRequested", o.after, o.attempt,
  o.next_at as "nextAt", o.epoch, o.owner, o.lease_until as "leaseUntil", o.error, o.result, o.created_at as "createdAt",
  o.finished_at as "finishedAt"`

const open = `('queued', 'running', 'waiting', 'undoing')`

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
  /** Who works it at once, in the promising process; null leaves it to the first worker. */
  claim: { owner: string; leaseMs: number } | null
}

/** The operation, its steps and its wake-up job, in one statement. A claimed one wakes workers only when its lease has run out. */
export async function insertOperation(q: Queryable, operation: NewOperation): Promise<OperationRow> {
  const [row] = await q.query<OperationRow>(
    `with o as (
       insert into saasctl.operation (id, kind, subject, tenant_id, exclusion, input, input_version, idempotency_key, request_checksum,
         actor, after, status, epoch, owner, lease_until)
       values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11,
         case when $12::text is null then 'queued' else 'running' end, case when $12::text is null then 0 else 1 end, $12::text,
         case when $12::text is not null then clock_timestamp() + make_interval(secs => $13::float8) end)
       returning *),
     s as (
       insert into saasctl.operation_step (operation_id, position, name)
       select $1, n, name from unnest($14::text[]) with ordinality as step (name, n))
     select ${columns}, ${job('o.id', 'coalesce(o.lease_until, clock_timestamp())')} from o`,
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
      operation.steps
    ]
  )
  if (!row) throw new SaasctlError('FAILED', 'The operation was not written.')
  return row
}

/** A job is only a wake-up; its key is the operation, so there is one at most. Retry timing is the ledger's, so it runs once. */
function job(id: string, runAt: string): string {
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
     values ($1, $2, 'tenant:' || $3::uuid, $3, $4, $5, $6, $7, $8, $9, 'succeeded', clock_timestamp()) returning ${columns}`,
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
  const [row] = await q.query<OperationRow>(`select ${columns} from saasctl.operation o where o.id = $1`, [id])
  return row
}

export async function operationByKey(q: Queryable, idempotencyKey: string): Promise<OperationRow | undefined> {
  const [row] = await q.query<OperationRow>(`select ${columns} from saasctl.operation o where o.idempotency_key = $1`, [
    idempotencyKey
  ])
  return row
}

export async function stepsOf(q: Queryable, id: string): Promise<StepRow[]> {
  return q.query<StepRow>(
    `select position, name, status, begun_at as "begunAt", done_at as "doneAt", error
     from saasctl.operation_step where operation_id = $1 order by position`,
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
    `select ${columns}, t.slug from saasctl.operation o left join saasctl.tenant t on t.id = o.tenant_id
     where ($1::uuid is null or o.tenant_id = $1) and (not $2 or o.status in ${open}) and ($3::uuid is null or o.id < $3)
     order by o.id desc limit $4`,
    [filter.tenantId ?? null, filter.open ?? false, filter.before ?? null, filter.limit]
  )
}

/** An open operation that holds the tenant: an exclusive one, or with `any` every one. */
export async function openOperationOf(q: Queryable, tenantId: string, any: boolean): Promise<OperationRow | undefined> {
  const [row] = await q.query<OperationRow>(
    `select ${columns} from saasctl.operation o
     where o.tenant_id = $1 and o.status in ${open} and (o.exclusion = 'exclusive' or $2) order by o.id limit 1`,
    [tenantId, any]
  )
  return row
}

/** The open operation on a subject that is no tenant, if there is one. */
export async function openOperationOn(q: Queryable, kind: string, subject: string): Promise<OperationRow | undefined> {
  const [row] = await q.query<OperationRow>(
    `select ${columns} from saasctl.operation o where o.kind = $1 and o.subject = $2 and o.status in ${open} order by o.id limit 1`,
    [kind, subject]
  )
  return row
}

/** One at a time: whoever promises something for this subject comes after whoever does it now. */
export async function lockSubject(tx: Queryable, subject: string): Promise<void> {
  await tx.query('select pg_advisory_xact_lock(hashtextextended($1, 0))', [subject])
}

/**
 * Takes the operation over for `owner` when it is due and nobody's: the epoch counts up, and whatever the former owner
 * still believes is refused from here on. Times are the catalog's. `early` takes it before its next try is due.
 */
export async function claimOperation(
  q: Queryable,
  id: string,
  claim: { owner: string; leaseMs: number; early?: boolean }
): Promise<OperationRow | undefined> {
  const [row] = await q.query<OperationRow>(
    `update saasctl.operation o set epoch = o.epoch + 1, owner = $2,
       lease_until = clock_timestamp() + make_interval(secs => $3::float8),
       status = case when o.status = 'undoing' then 'undoing' else 'running' end
     where o.id = $1 and o.status in ${open}
       and (o.lease_until is null or o.lease_until < clock_timestamp())
       and ($4 or o.next_at <= clock_timestamp())
       and (o.after is null or exists (select from saasctl.operation a where a.id = o.after and a.status in ('succeeded', 'failed', 'cancelled')))
     returning ${columns}`,
    [id, owner(claim.owner), claim.leaseMs / 1000, claim.early ?? false]
  )
  return row
}

const owner = (name: string) => name.slice(0, 200)

/** A write that names the epoch it believes in. No row means that another process took the operation over. */
async function fenced<Row extends object>(
  q: Queryable,
  operation: OperationRow,
  sql: string,
  values: unknown[]
): Promise<Row> {
  const [row] = await q.query<Row>(sql, [operation.id, operation.epoch, ...values])
  if (!row) {
    throw new SaasctlError('FENCED', `Another process took operation ${operation.id} over.`, {
      operationId: operation.id,
      hint: `Follow it with "saasctl operation watch ${operation.id}".`
    })
  }
  return row
}

const mine = `o.id = $1 and o.epoch = $2 and o.status in ('running', 'undoing')`

/** Renews the lease; tells whether a cancel was asked for. */
export async function renewLease(
  q: Queryable,
  operation: OperationRow,
  leaseMs: number
): Promise<{ cancelRequested: boolean }> {
  return fenced(
    q,
    operation,
    `update saasctl.operation o set lease_until = clock_timestamp() + make_interval(secs => $3::float8) where ${mine}
     returning o.cancel_requested as "cancelRequested"`,
    [leaseMs / 1000]
  )
}

/** Throws FENCED unless the operation is still ours. */
export async function confirmEpoch(q: Queryable, operation: OperationRow): Promise<void> {
  await fenced(q, operation, `select from saasctl.operation o where ${mine}`, [])
}

/** "Done n" and "begun n+1" in one statement; either may be absent. */
export async function advance(
  q: Queryable,
  operation: OperationRow,
  move: { done: number[]; begun: number | null }
): Promise<{ cancelRequested: boolean }> {
  return fenced(
    q,
    operation,
    `with o as (select o.id, o.cancel_requested from saasctl.operation o where ${mine} for update),
     moved as (
       update saasctl.operation_step s set
         status = case when s.position = $4 then 'begun' else 'done' end,
         begun_at = case when s.position = $4 then clock_timestamp() else s.begun_at end,
         done_at = case when s.position = $4 then null else clock_timestamp() end
       from o where s.operation_id = o.id and (s.position = any($3::int[]) or s.position = $4::int))
     select cancel_requested as "cancelRequested" from o`,
    [move.done, move.begun]
  )
}

export async function markUndone(q: Queryable, operation: OperationRow, position: number): Promise<void> {
  await fenced(
    q,
    operation,
    `with o as (select o.id from saasctl.operation o where ${mine} for update),
     moved as (update saasctl.operation_step s set status = 'undone' from o where s.operation_id = o.id and s.position = $3)
     select from o`,
    [position]
  )
}

/** From here on the operation only goes back. */
export async function startUndoing(q: Queryable, operation: OperationRow, error: ErrorRecord): Promise<void> {
  await fenced(
    q,
    operation,
    `update saasctl.operation o set status = 'undoing', error = $3, attempt = 0 where ${mine} returning o.id`,
    [error]
  )
}

/** Gives the operation back until its next try; the job wakes a worker then. */
export async function release(
  q: Queryable,
  operation: OperationRow,
  delayMs: number,
  error: ErrorRecord
): Promise<void> {
  await fenced(
    q,
    operation,
    `with o as (
       update saasctl.operation o set status = case when o.status = 'undoing' then 'undoing' else 'waiting' end, error = $4,
         attempt = o.attempt + 1, owner = null, lease_until = null,
         next_at = clock_timestamp() + make_interval(secs => $3::float8)
       where ${mine} returning o.id, o.next_at)
     select ${job('o.id', 'o.next_at')} from o`,
    [delayMs / 1000, error]
  )
}

/** The end, and no wake-up is left behind; what waited for this operation is woken. */
export async function finish(
  q: Queryable,
  operation: OperationRow,
  end: { status: 'succeeded' | 'failed' | 'cancelled'; error: ErrorRecord | null; result: Json | null }
): Promise<void> {
  await fenced(
    q,
    operation,
    `with o as (
       update saasctl.operation o set status = $3, error = $4, result = $5, owner = null, lease_until = null,
         finished_at = clock_timestamp()
       where ${mine} returning o.id)
     select graphile_worker.remove_job(o.id::text) is not null as job,
       (select count(${job('a.id', 'clock_timestamp()').replace(' as job', '')}) from saasctl.operation a where a.after = o.id) as woken
     from o`,
    [end.status, end.error, end.result === null ? null : JSON.stringify(end.result)]
  )
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

/** Wakes operations that are due or whose lease ran out: a killed process needs nobody else to notice. */
export async function sweep(q: Queryable): Promise<number> {
  const rows = await q.query(
    `select ${job('o.id', 'clock_timestamp()')} from saasctl.operation o
     where o.status in ${open} and o.next_at <= clock_timestamp()
       and (o.lease_until is null or o.lease_until < clock_timestamp())
       and not exists (select from graphile_worker.jobs j where j.key = o.id::text and j.locked_at is null and j.run_at <= clock_timestamp())
     limit 1000`
  )
  return rows.length
}

/** Operations that began and that nobody owns any more. */
export async function orphanedOperations(q: Queryable): Promise<OperationRow[]> {
  return q.query<OperationRow>(
    `select ${columns} from saasctl.operation o
     where o.status in ${open} and o.next_at <= clock_timestamp() and (o.lease_until is null or o.lease_until < clock_timestamp())
     order by o.id limit 1000`
  )
}
