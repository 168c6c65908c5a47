import type { Json } from '../canonical.js'
import type { EngineName } from '../engines/engine.js'
import type { ErrorRecord } from '../errors.js'
import type { Actor } from './audit.js'
import type { Queryable } from './catalog.js'

export type RolloutStatus = 'planned' | 'running' | 'paused' | 'braked' | 'succeeded' | 'failed' | 'aborted'
export type TargetStatus = 'pending' | 'running' | 'done' | 'failed' | 'skipped'

export interface RolloutRow<Settings = object, Files = object> {
  id: string
  template: string
  direction: 'up' | 'down'
  target: string | null
  undoes: string | null
  selector: Json
  wholeFleet: boolean
  settings: Settings
  files: Files
  findings: Json
  /** What trying its files on clones has shown. */
  rehearsals: Json
  status: RolloutStatus
  reason: string | null
  wave: number
  consecutiveFailures: number
  actor: Actor
  createdAt: Date
  startedAt: Date | null
  finishedAt: Date | null
}

const columns = `r.id, r.template, r.direction, r.target, r.undoes, r.selector, r.whole_fleet as "wholeFleet", r.settings, r.files, r.findings, r.rehearsals,
  r.status, r.reason, r.wave, r.consecutive_failures as "consecutiveFailures", r.actor, r.created_at as "createdAt",
  r.started_at as "startedAt", r.finished_at as "finishedAt"`

export interface PlannedTarget {
  tenantId: string
  databaseId: string
  serverId: string
  wave: number
  before: string | null
  after: string | null
}

export type NewRollout = Pick<
  RolloutRow,
  'id' | 'template' | 'direction' | 'target' | 'undoes' | 'selector' | 'wholeFleet' | 'settings' | 'files' | 'findings'
> & { actor: Actor; waves: string[]; targets: PlannedTarget[] }

export async function insertRollout(q: Queryable, plan: NewRollout): Promise<void> {
  await q.query(
    `insert into saasctl.rollout (id, template, direction, target, undoes, selector, whole_fleet, settings, files, findings, actor, status)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 'planned')`,
    [
      plan.id,
      plan.template,
      plan.direction,
      plan.target,
      plan.undoes,
      JSON.stringify(plan.selector),
      plan.wholeFleet,
      plan.settings,
      plan.files,
      JSON.stringify(plan.findings),
      plan.actor
    ]
  )
  await q.query(
    `insert into saasctl.rollout_wave (rollout_id, position, name)
     select $1, n - 1, name from unnest($2::text[]) with ordinality as w (name, n)`,
    [plan.id, plan.waves]
  )
  await insertTargets(q, plan.id, plan.targets)
}

export async function insertTargets(q: Queryable, rolloutId: string, targets: PlannedTarget[]): Promise<void> {
  await q.query(
    `insert into saasctl.rollout_target (rollout_id, tenant_id, database_id, server_id, wave, before, after)
     select $1, * from unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::int[], $6::text[], $7::text[])`,
    [
      rolloutId,
      targets.map(target => target.tenantId),
      targets.map(target => target.databaseId),
      targets.map(target => target.serverId),
      targets.map(target => target.wave),
      targets.map(target => target.before),
      targets.map(target => target.after)
    ]
  )
}

/** By the whole id. */
export async function rolloutById<Settings = object, Files = object>(
  q: Queryable,
  id: string
): Promise<RolloutRow<Settings, Files> | undefined> {
  const [row] = await q.query<RolloutRow<Settings, Files>>(`select ${columns} from saasctl.rollout r where r.id = $1`, [
    id
  ])
  return row
}

/** The row, held until the transaction ends: whoever moves a rollout comes after whoever moves it now. */
export async function lockRollout<Settings = object, Files = object>(
  q: Queryable,
  id: string
): Promise<RolloutRow<Settings, Files> | undefined> {
  await q.query('select from saasctl.rollout where id = $1 for update', [id])
  return rolloutById(q, id)
}

/** Newest first. */
export async function listRollouts(q: Queryable, page: { before?: string; limit: number }): Promise<RolloutRow[]> {
  return q.query<RolloutRow>(
    `select ${columns} from saasctl.rollout r where ($1::uuid is null or r.id < $1) order by r.id desc limit $2`,
    [page.before ?? null, page.limit]
  )
}

export async function setRolloutStatus(
  q: Queryable,
  id: string,
  status: RolloutStatus,
  reason: string | null = null
): Promise<void> {
  await q.query(
    `update saasctl.rollout set status = $2, reason = $3,
       started_at = case when $2 = 'running' then coalesce(started_at, clock_timestamp()) else started_at end,
       finished_at = case when $2 in ('succeeded', 'failed', 'aborted') then clock_timestamp() end,
       consecutive_failures = case when $2 = 'running' then 0 else consecutive_failures end
     where id = $1`,
    [id, status, reason]
  )
}

export async function openWave(q: Queryable, rolloutId: string, position: number): Promise<void> {
  await q.query('update saasctl.rollout set wave = $2 where id = $1', [rolloutId, position])
  await q.query(
    `update saasctl.rollout_wave set started_at = coalesce(started_at, clock_timestamp()), worked_at = null, finished_at = null
     where rollout_id = $1 and position = $2`,
    [rolloutId, position]
  )
}

export async function markWave(
  q: Queryable,
  rolloutId: string,
  position: number,
  moment: 'worked' | 'finished'
): Promise<void> {
  const column = moment === 'worked' ? 'worked_at' : 'finished_at'
  await q.query(
    `update saasctl.rollout_wave set ${column} = clock_timestamp() where rollout_id = $1 and position = $2`,
    [rolloutId, position]
  )
}

export interface WaveRow {
  position: number
  name: string
  startedAt: Date | null
  workedAt: Date | null
  finishedAt: Date | null
  pending: number
  running: number
  done: number
  failed: number
  skipped: number
}

/** The waves with how far each has come. */
export async function wavesOf(q: Queryable, rolloutId: string): Promise<WaveRow[]> {
  return q.query<WaveRow>(
    `select w.position, w.name, w.started_at as "startedAt", w.worked_at as "workedAt", w.finished_at as "finishedAt",
       count(t.tenant_id) filter (where t.status = 'pending')::int as pending,
       count(t.tenant_id) filter (where t.status = 'running')::int as running,
       count(t.tenant_id) filter (where t.status = 'done')::int as done,
       count(t.tenant_id) filter (where t.status = 'failed')::int as failed,
       count(t.tenant_id) filter (where t.status = 'skipped')::int as skipped
     from saasctl.rollout_wave w left join saasctl.rollout_target t on t.rollout_id = w.rollout_id and t.wave = w.position
     where w.rollout_id = $1 group by w.rollout_id, w.position order by w.position`,
    [rolloutId]
  )
}

/** Per server, what a wave still has to do. */
export async function waveLeft(
  q: Queryable,
  rolloutId: string,
  wave: number
): Promise<Array<{ serverId: string; left: number }>> {
  return q.query(
    `select server_id as "serverId", count(*)::int as left from saasctl.rollout_target
     where rollout_id = $1 and wave = $2 and status in ('pending', 'running') group by 1 order by 1`,
    [rolloutId, wave]
  )
}

export interface TargetRow {
  tenantId: string
  slug: string
  server: string
  wave: number
  status: TargetStatus
  before: string | null
  after: string | null
  attempt: number
  error: ErrorRecord | null
  startedAt: Date | null
  finishedAt: Date | null
}

/** In the order of slugs, after the slug that ended the page before. */
export async function targetsOf(
  q: Queryable,
  rolloutId: string,
  filter: { statuses?: TargetStatus[]; after?: string; limit: number }
): Promise<TargetRow[]> {
  return q.query<TargetRow>(
    `select t.tenant_id as "tenantId", n.slug, s.name as server, t.wave, t.status, t.before, t.after, t.attempt, t.error,
       t.started_at as "startedAt", t.finished_at as "finishedAt"
     from saasctl.rollout_target t
     join saasctl.tenant n on n.id = t.tenant_id
     join saasctl.server s on s.id = t.server_id
     where t.rollout_id = $1 and ($2::text[] is null or t.status = any($2)) and ($3::text is null or n.slug > $3)
     order by n.slug limit $4`,
    [rolloutId, filter.statuses ?? null, filter.after ?? null, filter.limit]
  )
}

/** Puts failed targets back to be worked; gives how many. */
export async function retryFailed(q: Queryable, rolloutId: string, wave: number): Promise<number> {
  const rows = await q.query(
    `update saasctl.rollout_target set status = 'pending', attempt = 0, next_at = clock_timestamp(), wave = $2, error = null,
       finished_at = null
     where rollout_id = $1 and status = 'failed' returning tenant_id`,
    [rolloutId, wave]
  )
  return rows.length
}

export async function skipPending(q: Queryable, rolloutId: string): Promise<void> {
  await q.query(
    `update saasctl.rollout_target set status = 'skipped', finished_at = clock_timestamp()
     where rollout_id = $1 and status = 'pending'`,
    [rolloutId]
  )
}

/** What trying a rollout's files on one clone has shown. */
export interface Rehearsal {
  operationId: string
  engine: EngineName
  server: string
  /** The tenant whose clone it was; null for the template's, or for an empty database where the template is ahead. */
  tenant: string | null
  /** In the order in which they were run; a file whose time was lost to a killed process has none. */
  files: Array<{ name: string; ms: number | null }>
}

export async function addRehearsal(q: Queryable, rolloutId: string, rehearsal: Rehearsal): Promise<void> {
  await q.query('update saasctl.rollout set rehearsals = rehearsals || $2::jsonb where id = $1', [
    rolloutId,
    JSON.stringify([rehearsal])
  ])
}

/** Where one target of a rollout stands, and is to end. */
export async function targetOf(
  q: Queryable,
  rolloutId: string,
  tenantId: string
): Promise<Pick<PlannedTarget, 'databaseId' | 'serverId' | 'before' | 'after'> | undefined> {
  const [row] = await q.query<Pick<PlannedTarget, 'databaseId' | 'serverId' | 'before' | 'after'>>(
    `select database_id as "databaseId", server_id as "serverId", before, after from saasctl.rollout_target
     where rollout_id = $1 and tenant_id = $2`,
    [rolloutId, tenantId]
  )
  return row
}
