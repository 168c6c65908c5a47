import type { ErrorRecord } from '../errors.js'
import type { Queryable } from './catalog.js'
import { open } from './operations.js'

/** A lane that is not over: the operation that works one server's part of the present wave. */
export interface LaneRow {
  operationId: string
  server: string
  status: 'queued' | 'running' | 'waiting' | 'undoing'
  /** Who works it, as the ledger has it; null when nobody does just now. */
  owner: string | null
  /** How many databases it works at once, and how many it may. */
  atOnce: number
  atMost: number
  /** How often it was tried in vain, what the last try met, and when the next one is due. */
  attempt: number
  error: ErrorRecord | null
  nextAt: Date
}

export function lanesOf(q: Queryable, rolloutId: string): Promise<LaneRow[]> {
  return q.query<LaneRow>(
    `select o.id as "operationId", s.name as server, o.status, o.owner, o.attempt, o.error, o.next_at as "nextAt",
       coalesce(o.result->>'atOnce', o.input->>'concurrency')::int as "atOnce", (o.input->>'concurrency')::int as "atMost"
     from saasctl.operation o join saasctl.server s on s.id = (o.input->>'serverId')::uuid
     where o.kind = 'rollout.lane' and o.subject = 'rollout:' || $1::text || '/' || s.id::text
       and o.status in ${open} order by s.name`,
    [rolloutId]
  )
}

/** How long a wave has been at work by the catalog's clock, in milliseconds; null before its start and after its end. */
export async function waveAge(q: Queryable, rolloutId: string, position: number): Promise<number | null> {
  const [row] = await q.query<{ ms: number | null }>(
    `select (extract(epoch from clock_timestamp() - started_at) * 1000)::float8 as ms from saasctl.rollout_wave
     where rollout_id = $1 and position = $2 and worked_at is null`,
    [rolloutId, position]
  )
  return row?.ms ?? null
}

/** The turn to the next wave that has been promised for after the soak, and that nobody needs any more. */
export async function forgetTurn(q: Queryable, rolloutId: string): Promise<void> {
  await q.query(
    `update saasctl.operation o set status = 'cancelled', error = $2, finished_at = clock_timestamp()
     where o.kind = 'rollout.turn' and o.subject = 'rollout:' || $1::text and o.status = 'queued' and o.owner is null`,
    [rolloutId, { code: 'CANCELLED', message: 'Its rollout was aborted.' }]
  )
}
