import { type ListedBackup, listedBackups } from './backups.js'
import type { Queryable } from './catalog.js'
import { isKept } from './holds.js'
import { open } from './operations.js'

/**
 * The backups that nothing keeps any more. Of a tenant that exists its newest and its last verified one always stay; its
 * plan keeps the newest of so many days, weeks and months (UTC) that have one. What has an end of its own stays until then.
 * Without a policy, and of a tenant that is gone, an end alone lets one go. A hold, on it or on its tenant, or
 * somebody who reads it, keeps any.
 */
const expendable = `
  select id from (
    select b.id, b.tenant_id, b.taken_at, b.hold_reason, b.expires_at, t.status = 'purged' as gone, p.definition->'backup'->'keep' as keep,
      row_number() over tenant = 1 as newest,
      b.verified_at is not null and row_number() over verified = 1 as last_verified,
      row_number() over day = 1 and dense_rank() over days <= coalesce((p.definition->'backup'->'keep'->>'daily')::int, 0) as daily,
      row_number() over week = 1 and dense_rank() over weeks <= coalesce((p.definition->'backup'->'keep'->>'weekly')::int, 0) as weekly,
      row_number() over month = 1 and dense_rank() over months <= coalesce((p.definition->'backup'->'keep'->>'monthly')::int, 0) as monthly
    from saasctl.backup b
    join saasctl.tenant t on t.id = b.tenant_id
    join saasctl.plan p on p.name = t.plan
    cross join lateral (select date_trunc('day', b.taken_at at time zone 'UTC') as d, date_trunc('week', b.taken_at at time zone 'UTC') as w,
      date_trunc('month', b.taken_at at time zone 'UTC') as m) x
    where b.status = 'complete' and ($1::uuid is null or b.tenant_id = $1)
    window tenant as (partition by b.tenant_id order by b.taken_at desc, b.id desc),
      verified as (partition by b.tenant_id, b.verified_at is not null order by b.taken_at desc, b.id desc),
      day as (partition by b.tenant_id, d order by b.taken_at desc, b.id desc),
      week as (partition by b.tenant_id, w order by b.taken_at desc, b.id desc),
      month as (partition by b.tenant_id, m order by b.taken_at desc, b.id desc),
      days as (partition by b.tenant_id order by d desc),
      weeks as (partition by b.tenant_id order by w desc),
      months as (partition by b.tenant_id order by m desc)
  ) ranked
  where hold_reason is null and not ${isKept('ranked.tenant_id')} and (expires_at is null or expires_at <= now())
    and case
      when gone then expires_at is not null
      when newest or last_verified then false
      when keep is null then expires_at is not null
      else not (daily or weekly or monthly) end
    and not exists (select from saasctl.operation o where o.tenant_id = ranked.tenant_id and o.status in ${open}
      and o.input->>'backupId' = ranked.id::text)`

/** What a prune would remove now, of one tenant or of all. */
export async function expendableBackups(q: Queryable, tenantId: string | null): Promise<ListedBackup[]> {
  return q.query<ListedBackup>(`${listedBackups} where b.id in (${expendable}) order by b.id`, [tenantId])
}

/** Gives them up: from here on nobody may read them. Whoever put a hold on one a moment ago was first. */
export async function giveUpBackups(
  q: Queryable,
  tenantId: string | null
): Promise<Array<{ id: string; tenantId: string }>> {
  return q.query(
    `update saasctl.backup b set status = 'removing' where b.id in (${expendable}) and b.status = 'complete' and b.hold_reason is null
     returning b.id, b.tenant_id as "tenantId"`,
    [tenantId]
  )
}

const unsettled = `(status = 'removing' or status = 'failed' and removed_at is null)`

/** Given up or never finished, and perhaps still in their stores. */
export async function backupsToRemove(q: Queryable): Promise<Array<{ id: string; tenantId: string; store: string }>> {
  return q.query(`select id, tenant_id as "tenantId", store from saasctl.backup where ${unsettled} order by id`)
}

export async function markRemoved(q: Queryable, id: string): Promise<void> {
  await q.query(
    `update saasctl.backup set status = case status when 'removing' then 'removed' else status end, removed_at = now()
     where id = $1 and ${unsettled}`,
    [id]
  )
}
