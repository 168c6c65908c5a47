import type { Queryable } from './catalog.js'

/** A legal hold: as long as it is there, nothing of the tenant is destroyed. */
export interface HoldRow {
  tenantId: string
  reason: string
  since: Date
  approvalId: string
}

/** In SQL: whether a tenant is held, or a hold on it is asked for and not decided yet. */
export const underHold = (tenantId: string) => `(
  exists (select from saasctl.hold h where h.tenant_id = ${tenantId})
  or exists (select from saasctl.approval a where a.tenant_id = ${tenantId} and a.action = 'hold.set' and a.status = 'pending'
    and a.expires_at > clock_timestamp()))`

/**
 * Waits for whoever is putting a hold on one of these tenants, and keeps others from it until this transaction is over: what
 * is asked afterwards sees every hold.
 */
export async function keepHoldsAway(q: Queryable, tenantIds: string[]): Promise<void> {
  await q.query('select from saasctl.tenant where id = any($1::uuid[]) order by id for share', [tenantIds])
}

export async function isUnderHold(q: Queryable, tenantId: string): Promise<boolean> {
  const [row] = await q.query<{ held: boolean }>(`select ${underHold('$1')} as held`, [tenantId])
  return row?.held === true
}

export async function holdOf(q: Queryable, tenantId: string): Promise<HoldRow | undefined> {
  const [row] = await q.query<HoldRow>(
    `select h.tenant_id as "tenantId", h.reason, h.since, h.approval_id as "approvalId" from saasctl.hold h where h.tenant_id = $1`,
    [tenantId]
  )
  return row
}

export async function insertHold(q: Queryable, hold: Omit<HoldRow, 'since'>): Promise<void> {
  await q.query('insert into saasctl.hold (tenant_id, reason, approval_id) values ($1, $2, $3)', [
    hold.tenantId,
    hold.reason,
    hold.approvalId
  ])
}

export async function deleteHold(q: Queryable, tenantId: string): Promise<void> {
  await q.query('delete from saasctl.hold where tenant_id = $1', [tenantId])
}
