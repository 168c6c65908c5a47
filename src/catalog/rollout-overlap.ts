import type { Queryable } from './catalog.js'

/** Tenants that are in both of two rollouts. */
export interface Overlap {
  rolloutId: string
  tenants: number
  /** One of them. */
  slug: string
}

/**
 * Another rollout that is under way, stopped ones included, and has tenants of this one still to do. Whoever starts a
 * rollout asks; from here to the end of the transaction nobody else does.
 */
export async function overlapOf(q: Queryable, rolloutId: string): Promise<Overlap | undefined> {
  await q.query(`select pg_advisory_xact_lock(hashtextextended('saasctl rollout start', 0))`)
  const [row] = await q.query<Overlap>(
    `select theirs.rollout_id as "rolloutId", count(*)::int as tenants, min(n.slug) as slug
     from saasctl.rollout r
     join saasctl.rollout_target theirs on theirs.rollout_id = r.id and theirs.status in ('pending', 'running')
     join saasctl.rollout_target mine on mine.rollout_id = $1 and mine.tenant_id = theirs.tenant_id and mine.status in ('pending', 'failed')
     join saasctl.tenant n on n.id = mine.tenant_id
     where r.status in ('running', 'paused', 'braked') and r.id <> $1
     group by 1 order by 1 limit 1`,
    [rolloutId]
  )
  return row
}
