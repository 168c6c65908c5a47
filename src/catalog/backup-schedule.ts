import type { Queryable } from './catalog.js'
import { open } from './operations.js'

/** For SQL: what the plan of tenant `t`, joined as `p`, says; null without a policy. */
const every = `(p.definition->'backup'->>'every')::interval`
const drill = `(p.definition->'backup'->>'drill')::interval`

/** Five percent to either side, so that a fleet that began at once does not stay in step. */
const jittered = (interval: string) => `now() + ${interval} * (0.95 + random() * 0.1)`

/**
 * Brings the schedule to what the plans say. A tenant that is new to a policy begins at a random moment of its first
 * interval: a thousand tenants at once are spread over it. Sooner, where the interval became shorter.
 */
export async function followPlans(q: Queryable): Promise<void> {
  await q.query(
    `insert into saasctl.backup_schedule (tenant_id, next_at, drill_at)
     select t.id, now() + random() * ${every}, now() + random() * ${drill}
     from saasctl.tenant t join saasctl.plan p on p.name = t.plan
     where t.status in ('active', 'suspended') and p.definition ? 'backup'
       and not exists (select from saasctl.backup_schedule s where s.tenant_id = t.id)
     on conflict do nothing`
  )
  await q.query(
    `update saasctl.backup_schedule s set
       next_at = case when s.asked then s.next_at when ${every} is null then null
         when s.next_at is null or s.next_at > now() + ${every} * 1.05 then now() + random() * ${every} else s.next_at end,
       drill_at = case when ${drill} is null then null
         when s.drill_at is null or s.drill_at > now() + ${drill} * 1.05 then now() + random() * ${drill} else s.drill_at end
     from saasctl.tenant t join saasctl.plan p on p.name = t.plan
     where t.id = s.tenant_id and (not s.asked and (${every} is null) <> (s.next_at is null) or (${drill} is null) <> (s.drill_at is null)
       or not s.asked and s.next_at > now() + ${every} * 1.05 or s.drill_at > now() + ${drill} * 1.05)`
  )
}

/** What is at work on each server already, backups and drills together. */
const busy = `
  select server_id, count(*)::int as count from (
    select d.server_id from saasctl.operation o join saasctl.database d on d.id = (o.input->>'databaseId')::uuid
    where o.kind = 'tenant.backup' and o.status in ${open}
    union all
    select (o.input->>'serverId')::uuid from saasctl.operation o where o.kind = 'backup.verify' and o.status in ${open}) work
  group by server_id`

/** Nothing that excludes others is at work on tenant `t`. */
const free = `not exists (select from saasctl.operation o where o.tenant_id = t.id and o.exclusion = 'exclusive' and o.status in ${open})`

/** The tenants whose backup is due, the longest due first, as many as each server takes; of all tenants or of these. */
export async function dueBackups(
  q: Queryable,
  { perServer, among }: { perServer: number; among?: string[] }
): Promise<Array<{ tenantId: string; asked: boolean }>> {
  return q.query(
    `with busy as (${busy})
     select "tenantId", asked from (
       select t.id as "tenantId", s.asked, s.next_at, coalesce(b.count, 0) + row_number() over (partition by d.server_id order by s.next_at) as place
       from saasctl.backup_schedule s join saasctl.tenant t on t.id = s.tenant_id
       join saasctl.placement m on m.tenant_id = t.id join saasctl.database d on d.id = m.database_id
       left join busy b on b.server_id = d.server_id
       where s.next_at <= now() and t.status in ('active', 'suspended') and ${free} and ($2::uuid[] is null or t.id = any($2))) due
     where place <= $1 order by next_at limit 100`,
    [perServer, among ?? null]
  )
}

/** Takes a due backup off the schedule until the next time; false when somebody else has. */
export async function takeDueBackup(q: Queryable, tenantId: string): Promise<boolean> {
  const rows = await q.query(
    `update saasctl.backup_schedule s set asked = false, next_at = case when ${every} is null then null else ${jittered(every)} end
     from saasctl.tenant t join saasctl.plan p on p.name = t.plan
     where s.tenant_id = $1 and t.id = s.tenant_id and s.next_at <= now() returning s.tenant_id`,
    [tenantId]
  )
  return rows.length === 1
}

/** After a failure the plan's whole interval would be too long to wait: a quarter of an hour, or the interval when that is less. */
export async function retrySoon(q: Queryable, tenantId: string): Promise<void> {
  await q.query(
    `update saasctl.backup_schedule set next_at = least(next_at, now() + interval '15 minutes') where tenant_id = $1 and next_at is not null`,
    [tenantId]
  )
}

/** Makes backups of these tenants due now. */
export async function askForBackups(q: Queryable, tenantIds: string[]): Promise<void> {
  await q.query(
    `insert into saasctl.backup_schedule (tenant_id, next_at, asked) select id, now(), true from unnest($1::uuid[]) a (id)
     on conflict (tenant_id) do update set next_at = now(), asked = true`,
    [tenantIds]
  )
}

/** The newest complete backups of tenants whose drill is due, as many as each server takes. */
export async function dueDrills(
  q: Queryable,
  perServer: number
): Promise<Array<{ tenantId: string; backupId: string }>> {
  return q.query(
    `with busy as (${busy})
     select "tenantId", "backupId" from (
       select t.id as "tenantId", k.id as "backupId", s.drill_at,
         coalesce(b.count, 0) + row_number() over (partition by d.server_id order by s.drill_at) as place
       from saasctl.backup_schedule s join saasctl.tenant t on t.id = s.tenant_id
       cross join lateral (select id, database_id from saasctl.backup where tenant_id = t.id and status = 'complete' order by id desc limit 1) k
       join saasctl.database d on d.id = k.database_id
       left join busy b on b.server_id = d.server_id
       where s.drill_at <= now() and t.status in ('active', 'suspended') and ${free}) due
     where place <= $1 order by drill_at limit 100`,
    [perServer]
  )
}

export async function takeDueDrill(q: Queryable, tenantId: string): Promise<boolean> {
  const rows = await q.query(
    `update saasctl.backup_schedule s set drill_at = case when ${drill} is null then null else ${jittered(drill)} end
     from saasctl.tenant t join saasctl.plan p on p.name = t.plan
     where s.tenant_id = $1 and t.id = s.tenant_id and s.drill_at <= now() returning s.tenant_id`,
    [tenantId]
  )
  return rows.length === 1
}

/** Whether it is an hour since a prune was last begun, and none is at work. */
export async function pruneIsDue(q: Queryable): Promise<boolean> {
  const rows = await q.query(
    `select from saasctl.operation where kind = 'backup.prune' and (created_at > now() - interval '1 hour' or status in ${open}) limit 1`
  )
  return rows.length === 0
}
