import type { Queryable } from './catalog.js'

/** A legal hold: as long as it is there, nothing of the tenant is destroyed. */
export interface HoldRow {
  tenantId: string
  reason: string
  since: Date
  approvalId: string
}

export async function holdOf(q: Queryable, tenantId: string): Promise<HoldRow | undefined> {
  const [row] = await q.query<HoldRow>(
    `select h.tenant_id as "tenantId", h.reason, h.since, h.approval_id as "approvalId" from saasctl.hold h where h.tenant_id = $1`,
    [tenantId]
  )
  return row
}

/**
 * A condition that is true of a tenant under a hold, and of one for which a hold is asked for: nothing of it may end, not
 * even what ends by itself.
 */
export const isKept = (tenantId: string): string =>
  `(exists (select from saasctl.hold h where h.tenant_id = ${tenantId}) or exists (select from saasctl.approval a
     where a.tenant_id = ${tenantId} and a.action = 'hold.set' and a.status = 'pending' and a.expires_at > clock_timestamp()))`

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
