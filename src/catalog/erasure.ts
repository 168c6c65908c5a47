import type { Queryable } from './catalog.js'

/** Takes out of the catalog what people wrote of a tenant. Ids, states and times stay: they prove what was done. */
export async function scrubTenant(q: Queryable, tenantId: string, slug: string): Promise<void> {
  await q.query(`update saasctl.tenant set slug = 'erased', display_name = null, labels = '{}' where id = $1`, [
    tenantId
  ])
  await q.query(
    `update saasctl.operation set input = input - array['slug', 'displayName', 'labels', 'reason'], error = null, result = null,
       idempotency_key = null, request_checksum = null
     where tenant_id = $1`,
    [tenantId]
  )
  await q.query('update saasctl.rollout_target set error = null where tenant_id = $1 and error is not null', [tenantId])
  for (const list of ['slugs', 'except']) {
    await q.query(
      `update saasctl.rollout set selector = jsonb_set(selector, array[$2], (selector -> $2) - $1::text || '["erased"]')
       where selector -> $2 ? $1`,
      [slug, list]
    )
  }
}

/** Where a chain ends; undefined for one that has no event. */
export async function chainHead(q: Queryable, chain: string): Promise<{ seq: number; hash: string } | undefined> {
  const [row] = await q.query<{ seq: number; hash: string }>(
    'select seq::int, hash from saasctl.audit_chain where chain = $1',
    [chain]
  )
  return row
}
