import type { Json } from '../canonical.js'
import type { Queryable } from './catalog.js'

export type ApprovalStatus = 'pending' | 'approved' | 'rejected' | 'expired'

/** Something that takes two operators: asked for by one, decided by another. */
export interface ApprovalRow {
  id: string
  action: string
  tenantId: string
  input: Record<string, Json>
  reason: string
  status: ApprovalStatus
  requestedBy: string
  requestedAt: Date
  expiresAt: Date
  decidedBy: string | null
  decidedAt: Date | null
}

/** With the names that people know. */
export interface NamedApproval extends ApprovalRow {
  tenant: string
  requester: string
  requesterRevoked: boolean
  decider: string | null
}

const columns = `a.id, a.action, a.tenant_id as "tenantId", a.input, a.reason,
  case when a.status = 'pending' and a.expires_at <= clock_timestamp() then 'expired' else a.status end as status,
  a.requested_by as "requestedBy", a.requested_at as "requestedAt", a.expires_at as "expiresAt",
  a.decided_by as "decidedBy", a.decided_at as "decidedAt"`

const named = `select ${columns}, t.slug as tenant, r.name as requester, r.revoked_at is not null as "requesterRevoked",
    d.name as decider
  from saasctl.approval a join saasctl.tenant t on t.id = a.tenant_id join saasctl.operator r on r.id = a.requested_by
  left join saasctl.operator d on d.id = a.decided_by`

/** Violates approval_pending when the same is asked for already. One that is over its time makes room. */
export async function insertApproval(
  q: Queryable,
  wish: Pick<ApprovalRow, 'id' | 'action' | 'tenantId' | 'input' | 'reason' | 'requestedBy'> & { lifeSeconds: number }
): Promise<void> {
  await q.query(
    `update saasctl.approval set status = 'expired'
     where tenant_id = $1 and action = $2 and status = 'pending' and expires_at <= clock_timestamp()`,
    [wish.tenantId, wish.action]
  )
  await q.query(
    `insert into saasctl.approval (id, action, tenant_id, input, reason, requested_by, expires_at)
     values ($1, $2, $3, $4, $5, $6, clock_timestamp() + make_interval(secs => $7::float8))`,
    [wish.id, wish.action, wish.tenantId, wish.input, wish.reason, wish.requestedBy, wish.lifeSeconds]
  )
}

export async function lockApproval(q: Queryable, id: string): Promise<NamedApproval | undefined> {
  await q.query('select from saasctl.approval where id = $1 for update', [id])
  return approvalById(q, id)
}

export async function approvalById(q: Queryable, id: string): Promise<NamedApproval | undefined> {
  const [row] = await q.query<NamedApproval>(`${named} where a.id = $1`, [id])
  return row
}

/** Newest first; those that wait to be decided, or all. */
export async function listApprovals(
  q: Queryable,
  { all, before, limit }: { all: boolean; before?: string; limit: number }
): Promise<NamedApproval[]> {
  return q.query<NamedApproval>(
    `${named} where ($1 or (a.status = 'pending' and a.expires_at > clock_timestamp()))
       and ($2::uuid is null or a.id < $2) order by a.id desc limit $3`,
    [all, before ?? null, limit]
  )
}

export async function decideApproval(
  q: Queryable,
  id: string,
  decision: { status: 'approved' | 'rejected'; decidedBy: string }
): Promise<void> {
  await q.query(
    'update saasctl.approval set status = $2, decided_by = $3, decided_at = clock_timestamp() where id = $1',
    [id, decision.status, decision.decidedBy]
  )
}

/** Whether this is asked for and not decided yet. */
export async function isAskedFor(q: Queryable, tenantId: string, action: string): Promise<boolean> {
  const rows = await q.query(
    `select from saasctl.approval where tenant_id = $1 and action = $2 and status = 'pending' and expires_at > clock_timestamp()`,
    [tenantId, action]
  )
  return rows.length > 0
}

/** What was asked and why, of a tenant that is erased: the rows stay, what people wrote in them goes. */
export async function scrubApprovals(q: Queryable, tenantId: string): Promise<void> {
  await q.query(`update saasctl.approval set reason = 'erased', input = '{}' where tenant_id = $1`, [tenantId])
}
