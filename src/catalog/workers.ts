import { prepared, type Queryable } from './catalog.js'

export interface WorkerRow {
  id: string
  host: string
  pid: number
  version: string
  startedAt: Date
  seenAt: Date
}

/** Says that the worker lives, and under which names it takes jobs from the queue. */
export async function heartbeat(
  q: Queryable,
  worker: Pick<WorkerRow, 'id' | 'host' | 'pid' | 'version'>,
  queueIds: string[]
): Promise<void> {
  await q.query(
    `insert into saasctl.worker (id, host, pid, version, queue_ids) values ($1, $2, $3, $4, $5)
     on conflict (id) do update set seen_at = clock_timestamp(), queue_ids = excluded.queue_ids`,
    [worker.id, worker.host, worker.pid, worker.version, queueIds]
  )
}

/** Workers that were seen within the last `seconds`, by the catalog's clock. */
export async function liveWorkers(q: Queryable, seconds: number): Promise<WorkerRow[]> {
  return q.query<WorkerRow>(
    prepared(`select id, host, pid, version, started_at as "startedAt", seen_at as "seenAt" from saasctl.worker
     where seen_at > clock_timestamp() - make_interval(secs => $1::float8) order by started_at`),
    [seconds]
  )
}

/**
 * Forgets workers that were not seen for `seconds` and unlocks the jobs they had: the queue by itself would keep a killed
 * worker's jobs locked for four hours.
 */
export async function forgetDeadWorkers(q: Queryable, seconds: number): Promise<void> {
  await q.query(
    `with dead as (
       delete from saasctl.worker where seen_at < clock_timestamp() - make_interval(secs => $1::float8) returning queue_ids)
     select graphile_worker.force_unlock_workers(array(select unnest(queue_ids) from dead)) from (select from dead limit 1) d`,
    [seconds]
  )
}

export async function forgetWorker(q: Queryable, id: string): Promise<void> {
  await q.query('delete from saasctl.worker where id = $1', [id])
}

/** Gives jobs that were locked under these names back to the queue. */
export async function unlockJobs(q: Queryable, queueIds: string[]): Promise<void> {
  await q.query('select graphile_worker.force_unlock_workers($1)', [queueIds])
}
