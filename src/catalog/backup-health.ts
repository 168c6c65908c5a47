import type { Queryable } from './catalog.js'
import { type Selector, selectorConditions } from './tenants.js'

export type Broken = 'no backup' | 'backup too old' | 'never verified' | 'verified too long ago' | 'damaged'

/** How a tenant stands against its plan's policy. */
export interface BackupHealth {
  slug: string
  plan: string
  every: string | null
  drill: string | null
  lastBackupAt: Date | null
  lastVerifiedAt: Date | null
  /** What is not as the plan says; null when all is, or it says nothing. */
  broken: Broken | null
}

export interface BackupTotals {
  tenants: number
  /** On plans that have a policy. */
  protected: number
  broken: number
  /** The oldest of the tenants' newest backups, and the same of verified restores, among those with a policy. */
  oldestBackupAt: Date | null
  oldestVerifiedAt: Date | null
}

/** A drill that ended with one of these says nothing of the backup: what it was to be tried with was not there. */
const untried = `('SERVER_UNREACHABLE', 'SERVER_DENIED', 'SERVER_RIGHTS', 'SERVER_BUSY', 'SERVER_FULL', 'SERVER_UNSUPPORTED',
  'STORE_UNREACHABLE', 'STORE_REFUSED', 'TOOL_MISSING')`

/** Half an interval more is patience for a busy server; after that the promise of the plan is broken. */
const health = (conditions: string) => `
  select slug, plan, every, drill, last_backup_at as "lastBackupAt", last_verified_at as "lastVerifiedAt",
    case when every is null then null
      when last_backup_at is null then case when since < now() - every::interval * 1.5 then 'no backup' end
      when last_backup_at < now() - every::interval * 1.5 then 'backup too old'
      when newest_damaged then 'damaged'
      when drill is null then null
      when last_verified_at is null then case when first_backup_at < now() - drill::interval * 1.5 then 'never verified' end
      when last_verified_at < now() - drill::interval * 1.5 then 'verified too long ago' end as broken
  from (
    select t.slug, t.plan, greatest(t.created_at, p.updated_at) as since, p.definition->'backup'->>'every' as every,
      p.definition->'backup'->>'drill' as drill, b.*
    from saasctl.tenant t
    join saasctl.plan p on p.name = t.plan
    left join saasctl.placement m on m.tenant_id = t.id
    left join saasctl.database d on d.id = m.database_id
    cross join lateral (
      select max(taken_at) as last_backup_at, min(taken_at) as first_backup_at, max(verified_at) as last_verified_at,
        coalesce((array_agg(verify_error->>'code' not in ${untried} order by id desc))[1], false) as newest_damaged
      from saasctl.backup where tenant_id = t.id and status = 'complete') b
    where ${conditions}) tenants`

/** The tenants whose policy is broken, worst first, and what is true of all that the selector finds. */
export async function backupHealth(
  q: Queryable,
  selector: Selector,
  limit: number
): Promise<{ totals: BackupTotals; broken: BackupHealth[] }> {
  const values: unknown[] = []
  const statuses = selector.statuses ?? (['active', 'suspended'] as const)
  const conditions = await selectorConditions(
    q,
    { ...selector, statuses: [...statuses] },
    value => `$${values.push(value)}`
  )
  const none = { tenants: 0, protected: 0, broken: 0, oldestBackupAt: null, oldestVerifiedAt: null }
  if (!conditions) return { totals: none, broken: [] }
  const all = health(conditions.join(' and '))
  const [[totals = none], broken] = await Promise.all([
    q.query<BackupTotals>(
      `select count(*)::int as tenants, count(every)::int as protected, count(broken)::int as broken,
         min("lastBackupAt") filter (where every is not null) as "oldestBackupAt",
         min("lastVerifiedAt") filter (where every is not null) as "oldestVerifiedAt" from (${all}) h`,
      values
    ),
    q.query<BackupHealth>(
      `select * from (${all}) h where broken is not null order by "lastBackupAt" nulls first, slug limit ${Number(limit)}`,
      values
    )
  ])
  return { totals, broken }
}
