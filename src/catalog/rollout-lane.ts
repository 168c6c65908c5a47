import { type ErrorRecord, SaasctlError } from '../errors.js'
import type { Queryable } from './catalog.js'
import { type OperationRow, open } from './operations.js'
import type { TargetStatus } from './rollouts.js'
import type { TenantStatus } from './tenants.js'

/** What a lane reads and writes while it works: targets are taken and finished in batches. */

export interface Lane {
  operation: OperationRow
  rolloutId: string
  serverId: string
  wave: number
}

/** A target that a lane holds; its tenant is held by an operation of its own, so that nobody else works on it meanwhile. */
export interface HeldTarget {
  tenantId: string
  slug: string
  operationId: string
  databaseId: string
  /** What the database is called on its server. */
  database: string
  /** The database that the tenant has now; another one than was planned when it was moved or restored. */
  placedId: string | null
  tenantStatus: TenantStatus
  attempt: number
  before: string | null
  after: string | null
  migrationsChecksum: string | null
  fingerprint: string | null
}

const left: ErrorRecord = { code: 'FENCED', message: 'Another process took its lane over, and works the tenant anew.' }

const unbegun: ErrorRecord = { code: 'CANCELLED', message: 'Its lane stopped before it had begun.' }

/** What a former owner of the lane had taken and not finished is free again. Called once it can do no more harm. */
export async function freeLeftTargets(q: Queryable, lane: Lane): Promise<void> {
  await q.query(
    `with freed as (
       update saasctl.rollout_target t set status = 'pending', lane_id = null
       where t.lane_id = $1 and t.status = 'running' returning t.operation_id)
     update saasctl.operation o set status = 'cancelled', owner = null, error = $2, finished_at = clock_timestamp()
     from freed where o.id = freed.operation_id`,
    [lane.operation.id, left]
  )
}

/**
 * Takes targets that are due and free, and holds their tenants; those that something else works on come back in a second.
 * None when the rollout does not run any more, or the lane is somebody else's.
 */
export async function takeTargets(q: Queryable, lane: Lane, ids: string[]): Promise<HeldTarget[]> {
  const rows = await q.query<{ tenantId: string; operationId: string }>(
    `with lane as (
       select o.id, o.actor, o.owner from saasctl.operation o
       join saasctl.rollout r on r.id = $3 and r.status = 'running'
       where o.id = $1 and o.epoch = $2 and o.status = 'running'),
     due as (
       select t.tenant_id, lane.actor, lane.owner
       from saasctl.rollout_target t, lane
       where t.rollout_id = $3 and t.server_id = $4 and t.wave = $5 and t.status = 'pending' and t.next_at <= clock_timestamp()
       order by t.next_at, t.tenant_id limit $6 for update of t skip locked),
     picked as (select tenant_id, actor, owner, row_number() over () as n from due),
     held as (
       insert into saasctl.operation (id, kind, subject, tenant_id, exclusion, input, input_version, actor, status, epoch, owner, next_at)
       select ($7::uuid[])[n], 'rollout.target', 'tenant:' || tenant_id, tenant_id, 'exclusive',
         jsonb_build_object('rolloutId', $3::uuid, 'laneId', $1::uuid), 1, actor, 'running', 1, owner, 'infinity'
       from picked
       on conflict (tenant_id) where exclusion = 'exclusive' and status in ${open} do nothing
       returning id, tenant_id),
     busy as (
       update saasctl.rollout_target t set next_at = clock_timestamp() + interval '1 s' from picked
       where t.rollout_id = $3 and t.tenant_id = picked.tenant_id and not exists (select from held where held.tenant_id = t.tenant_id)),
     taken as (
       update saasctl.rollout_target t set status = 'running', attempt = t.attempt + 1, lane_id = $1, operation_id = held.id,
         started_at = clock_timestamp(), finished_at = null
       from held where t.rollout_id = $3 and t.tenant_id = held.tenant_id returning t.tenant_id)
     select tenant_id as "tenantId", id as "operationId" from held`,
    [lane.operation.id, lane.operation.epoch, lane.rolloutId, lane.serverId, lane.wave, ids.length, ids]
  )
  if (rows.length === 0) return []
  // Read after the tenants are held: from here on nobody changes what is read.
  return q.query<HeldTarget>(
    `select t.tenant_id as "tenantId", n.slug, n.status as "tenantStatus", t.operation_id as "operationId",
       t.database_id as "databaseId", d.name as database, p.database_id as "placedId", t.attempt, t.before, t.after,
       d.migrations_checksum as "migrationsChecksum", d.fingerprint
     from saasctl.rollout_target t
     join saasctl.tenant n on n.id = t.tenant_id
     join saasctl.database d on d.id = t.database_id
     left join saasctl.placement p on p.tenant_id = t.tenant_id
     where t.rollout_id = $1 and t.tenant_id = any($2)`,
    [lane.rolloutId, rows.map(row => row.tenantId)]
  )
}

/** Whether the lane may begin more: nobody stopped its rollout or took it over. */
export async function mayGoOn(q: Queryable, lane: Lane): Promise<boolean> {
  const rows = await q.query(
    `select from saasctl.rollout r join saasctl.operation o on o.id = $2 and o.epoch = $3 and o.status = 'running'
     where r.id = $1 and r.status = 'running'`,
    [lane.rolloutId, lane.operation.id, lane.operation.epoch]
  )
  return rows.length > 0
}

/** When the next target of the lane is due, in milliseconds from now; undefined when none is left that could be. */
export async function nextDue(q: Queryable, lane: Lane): Promise<number | undefined> {
  const [row] = await q.query<{ ms: number | null }>(
    `select (extract(epoch from min(t.next_at) - clock_timestamp()) * 1000)::float8 as ms
     from saasctl.rollout_target t join saasctl.rollout r on r.id = t.rollout_id and r.status = 'running'
     where t.rollout_id = $1 and t.server_id = $2 and t.wave = $3 and t.status = 'pending'`,
    [lane.rolloutId, lane.serverId, lane.wave]
  )
  // Not greatest() in SQL: it takes no notice of a null, which says that there is none.
  return typeof row?.ms === 'number' ? Math.max(0, row.ms) : undefined
}

export interface Finished {
  tenantId: string
  operationId: string
  databaseId: string
  status: Extract<TargetStatus, 'pending' | 'done' | 'failed' | 'skipped'>
  error: ErrorRecord | null
  /** For a target that is to be tried again. */
  delayMs: number
  /** It was taken, and given back before anything was tried. */
  unbegun?: true
  /** What its schema is now; null when nothing is known to have changed. */
  schema: { migration: string | null; migrationsChecksum: string; fingerprint: string | null } | null
  /** How long it took, and each file of it, by name, in milliseconds; null unless it is done. */
  times: { workMs: number; fileMs: Record<string, number> } | null
}

/** Writes what became of targets, and lets their tenants go. FENCED when the lane is somebody else's. */
export async function finishTargets(q: Queryable, lane: Lane, finished: Finished[]): Promise<void> {
  const rows = await q.query<{ done: number }>(
    `with lane as (
       select o.id from saasctl.operation o where o.id = $1 and o.epoch = $2 and o.status = 'running' for share),
     f as (
       select * from lane, unnest($4::uuid[], $5::uuid[], $6::uuid[], $7::text[], $8::jsonb[], $9::float8[], $10::text[], $11::text[], $12::text[], $13::boolean[], $14::boolean[], $16::float8[], $17::jsonb[])
         as f (tenant_id, operation_id, database_id, status, error, delay_ms, migration, checksum, fingerprint, moved, unbegun, work_ms, file_ms)),
     t as (
       update saasctl.rollout_target t set status = f.status, error = f.error, lane_id = null,
         attempt = t.attempt - case when f.unbegun then 1 else 0 end,
         next_at = clock_timestamp() + make_interval(secs => f.delay_ms / 1000),
         finished_at = case when f.status = 'pending' then null else clock_timestamp() end,
         work_ms = coalesce(f.work_ms, t.work_ms), file_ms = coalesce(f.file_ms, t.file_ms)
       from f where t.rollout_id = $3 and t.tenant_id = f.tenant_id and t.operation_id = f.operation_id returning t.tenant_id),
     o as (
       update saasctl.operation o set status = case f.status when 'done' then 'succeeded' when 'failed' then 'failed' else 'cancelled' end,
         owner = null, error = case when f.unbegun then $15::jsonb else f.error end, finished_at = clock_timestamp()
       from f where o.id = f.operation_id),
     d as (
       update saasctl.database d set migration = f.migration, migrations_checksum = f.checksum, fingerprint = f.fingerprint
       from f where d.id = f.database_id and f.moved)
     select count(*)::int as done from t`,
    [
      lane.operation.id,
      lane.operation.epoch,
      lane.rolloutId,
      finished.map(one => one.tenantId),
      finished.map(one => one.operationId),
      finished.map(one => one.databaseId),
      finished.map(one => one.status),
      finished.map(one => (one.error ? JSON.stringify(one.error) : null)),
      finished.map(one => one.delayMs),
      finished.map(one => one.schema?.migration ?? null),
      finished.map(one => one.schema?.migrationsChecksum ?? null),
      finished.map(one => one.schema?.fingerprint ?? null),
      finished.map(one => one.schema !== null),
      finished.map(one => one.unbegun === true),
      unbegun,
      finished.map(one => one.times?.workMs ?? null),
      finished.map(one => (one.times ? JSON.stringify(one.times.fileMs) : null))
    ]
  )
  if (rows[0]?.done === finished.length) return
  throw new SaasctlError('FENCED', `Another process took operation ${lane.operation.id} over.`, {
    operationId: lane.operation.id
  })
}

/** Says how many databases the lane works at once just now; what it says in the end takes its place. */
export async function sayWidth(q: Queryable, { operation }: Lane, atOnce: number): Promise<void> {
  await q.query(
    `update saasctl.operation o set result = jsonb_build_object('atOnce', $3::int)
     where o.id = $1 and o.epoch = $2 and o.status = 'running'`,
    [operation.id, operation.epoch, atOnce]
  )
}

/** Counts what failed, for the brakes; gives the totals so far. */
export async function countFailures(
  q: Queryable,
  rolloutId: string,
  consecutive: number
): Promise<{ failed: number; over: number }> {
  await q.query('update saasctl.rollout set consecutive_failures = $2 where id = $1', [rolloutId, consecutive])
  const [row] = await q.query<{ failed: number; over: number }>(
    `select count(*) filter (where status = 'failed')::int as failed, count(*) filter (where status in ('done', 'failed'))::int as over
     from saasctl.rollout_target where rollout_id = $1`,
    [rolloutId]
  )
  return row ?? { failed: 0, over: 0 }
}
