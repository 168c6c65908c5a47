import type { EngineName } from '../engines/engine.js'
import type { Queryable } from './catalog.js'

/** What one engine's targets usually take. */
export interface UsualTimes {
  /** Of each file that was rolled out before, or else tried on a clone. */
  files: Map<string, number>
  /** Of a file that nobody has run yet; null when nothing was run. */
  anyFile: number | null
  /** Of a target beside its files: connecting, and what is written down. */
  beside: number
}

/** From the last thousand targets of the template's rollouts in this direction, their canaries and dry runs included. */
export async function usualTimes(
  q: Queryable,
  template: string,
  direction: 'up' | 'down'
): Promise<Map<EngineName, UsualTimes>> {
  const rows = await q.query<{ engine: EngineName; name: string | null; ms: number; tried: boolean }>(
    `with recent as materialized (
       select s.engine, t.work_ms, t.file_ms from saasctl.rollout r
       join saasctl.rollout_target t on t.rollout_id = r.id
       join saasctl.server s on s.id = t.server_id
       where r.template = $1 and r.direction = $2 and t.status = 'done' and t.work_ms is not null
       order by t.finished_at desc limit 1000),
     ran as (select engine, key as name, value::float8 as ms from recent, jsonb_each_text(file_ms))
     select engine, name, avg(ms)::float8 as ms, false as tried from ran group by 1, 2
     union all
     select engine, null, avg(greatest(work_ms - (select coalesce(sum(value::float8), 0) from jsonb_each_text(file_ms)), 0))::float8, false
     from recent group by 1
     union all
     select h->>'engine', f->>'name', avg((f->>'ms')::float8)::float8, true
     from saasctl.rollout r, jsonb_array_elements(r.rehearsals) h, jsonb_array_elements(h->'files') f
     where r.template = $1 and r.direction = $2 and f->>'ms' is not null group by 1, 2
     order by tried`,
    [template, direction]
  )
  const usual = new Map<EngineName, UsualTimes>()
  for (const { engine, name, ms } of rows) {
    const times = usual.get(engine) ?? { files: new Map(), anyFile: null, beside: 0 }
    if (name === null) times.beside = ms
    else if (!times.files.has(name)) times.files.set(name, ms)
    usual.set(engine, times)
  }
  for (const times of usual.values()) {
    const known = [...times.files.values()]
    if (known.length > 0) times.anyFile = known.reduce((sum, ms) => sum + ms, 0) / known.length
  }
  return usual
}

/** Targets of one server that have the same way to go. */
export interface TargetGroup {
  serverId: string
  engine: EngineName
  before: string | null
  after: string | null
  targets: number
}

/** What a rollout still has before it; of one that was only planned, all of it. */
export async function groupsLeft(q: Queryable, rolloutId: string): Promise<TargetGroup[]> {
  return q.query<TargetGroup>(
    `select t.server_id as "serverId", s.engine, t.before, t.after, count(*)::int as targets
     from saasctl.rollout_target t join saasctl.server s on s.id = t.server_id
     where t.rollout_id = $1 and t.status in ('pending', 'running') group by 1, 2, 3, 4`,
    [rolloutId]
  )
}
