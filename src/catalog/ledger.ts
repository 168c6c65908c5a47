import type { Json } from '../canonical.js'
import { type ErrorRecord, SaasctlError } from '../errors.js'
import { prepared, type Queryable } from './catalog.js'
import { job, type OperationRow, open, operationColumns } from './operations.js'

/** What the owner of an operation writes while it works it. Every write names the epoch it believes in. */

/**
 * Takes the operation over for `owner` when it is due and nobody's: the epoch counts up, and whatever the former owner
 * still believes is refused from here on. Times are the catalog's. `early` takes it before its next try is due.
 * One that is due at infinity is worked as a part of another, and never by itself.
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
       and (o.next_at <= clock_timestamp() or ($4 and o.next_at < 'infinity'))
       and (o.after is null or exists (select from saasctl.operation a where a.id = o.after and a.status in ('succeeded', 'failed', 'cancelled')))
     returning ${operationColumns}`,
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
  const [row] = await q.query<Row>(prepared(sql), [operation.id, operation.epoch, ...values])
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

/**
 * The end, and no wake-up is left behind; what waited for this operation is woken. `done` are steps that are not recorded
 * as done yet. Gives the operation as it is then, which tells too whether a cancel was asked for.
 */
export async function finish(
  q: Queryable,
  operation: OperationRow,
  end: { status: 'succeeded' | 'failed' | 'cancelled'; error: ErrorRecord | null; result: Json | null; done: number[] }
): Promise<OperationRow> {
  return fenced(
    q,
    operation,
    `with o as (
       update saasctl.operation o set status = $3, error = $4, result = $5, owner = null, lease_until = null,
         finished_at = clock_timestamp()
       where ${mine} returning o.*),
     moved as (
       update saasctl.operation_step s set status = 'done', done_at = clock_timestamp()
       from o where s.operation_id = o.id and s.position = any($6::int[]))
     select ${operationColumns}, graphile_worker.remove_job(o.id::text) is not null as job,
       (select count(${job('a.id', 'clock_timestamp()').replace(' as job', '')}) from saasctl.operation a where a.after = o.id) as woken
     from o`,
    [end.status, end.error, end.result === null ? null : JSON.stringify(end.result), end.done]
  )
}

/**
 * Wakes operations that are due or whose lease ran out: a killed process needs nobody else to notice. A job that has had
 * its one try wakes nobody any more, and does not count.
 */
export async function sweep(q: Queryable): Promise<number> {
  const rows = await q.query(
    `select ${job('o.id', 'clock_timestamp()')} from saasctl.operation o
     where o.status in ${open} and o.next_at <= clock_timestamp()
       and (o.lease_until is null or o.lease_until < clock_timestamp())
       and not exists (select from graphile_worker.jobs j where j.key = o.id::text and j.locked_at is null
         and j.attempts < j.max_attempts and j.run_at <= clock_timestamp())
     limit 1000`
  )
  return rows.length
}
