import type { Queryable } from './catalog.js'

export const operatorRoles = ['admin', 'operator', 'auditor', 'signup', 'support'] as const
export type OperatorRole = (typeof operatorRoles)[number]

export interface OperatorRow {
  id: string
  name: string
  role: OperatorRole
  createdAt: Date
  revokedAt: Date | null
}

/** What the catalog says of whoever asks. */
export interface Asking {
  /** The login belongs to the control plane; otherwise it is an auditor's. */
  control: boolean
  /** There is an admin with a token: without one nobody changes anything. */
  guarded: boolean
  /** The token's operator; null for a token that is none, or none any more. */
  id: string | null
  name: string | null
  role: OperatorRole | null
  expired: boolean | null
}

export async function operatorAsks(q: Queryable, token: Buffer | null): Promise<Asking | undefined> {
  const [row] = await q.query<Asking>('select * from saasctl.operator_asks($1)', [token])
  return row
}

const columns = 'o.id, o.name, o.role, o.created_at as "createdAt", o.revoked_at as "revokedAt"'

/** Violates operator_name when somebody has, or had, the name. */
export async function insertOperator(q: Queryable, operator: Pick<OperatorRow, 'id' | 'name' | 'role'>): Promise<void> {
  await q.query('insert into saasctl.operator (id, name, role) values ($1, $2, $3)', [
    operator.id,
    operator.name,
    operator.role
  ])
}

/** Locks the row, so that a token is not made for somebody who is revoked at the same moment. */
export async function lockOperator(q: Queryable, name: string): Promise<OperatorRow | undefined> {
  const [row] = await q.query<OperatorRow>(`select ${columns} from saasctl.operator o where o.name = $1 for update`, [
    name
  ])
  return row
}

/** With when the last of its tokens ends; null when it has none. */
export async function listOperators(q: Queryable): Promise<Array<OperatorRow & { tokenUntil: Date | null }>> {
  return q.query(
    `select ${columns}, (select max(t.expires_at) from saasctl.operator_token t
       where t.operator_id = o.id and t.expires_at > clock_timestamp()) as "tokenUntil"
     from saasctl.operator o order by o.name`
  )
}

export async function markRevoked(q: Queryable, id: string): Promise<void> {
  await q.query('update saasctl.operator set revoked_at = clock_timestamp() where id = $1', [id])
  await q.query('delete from saasctl.operator_token where operator_id = $1', [id])
}

/** The token in the place of all earlier ones, which end after `overlapSeconds`. Gives when it ends itself. */
export async function replaceToken(
  q: Queryable,
  token: { operatorId: string; hash: Buffer; lifeSeconds: number; overlapSeconds: number }
): Promise<Date> {
  await q.query(
    `update saasctl.operator_token set expires_at = least(expires_at, clock_timestamp() + make_interval(secs => $2::float8))
     where operator_id = $1`,
    [token.operatorId, token.overlapSeconds]
  )
  await q.query('delete from saasctl.operator_token where operator_id = $1 and expires_at <= clock_timestamp()', [
    token.operatorId
  ])
  const [row] = await q.query<{ expiresAt: Date }>(
    `insert into saasctl.operator_token (hash, operator_id, expires_at)
     values ($1, $2, clock_timestamp() + make_interval(secs => $3::float8)) returning expires_at as "expiresAt"`,
    [token.hash, token.operatorId, token.lifeSeconds]
  )
  return row?.expiresAt ?? new Date()
}

/** Admins that could still use their tokens. */
export async function countAdmins(q: Queryable): Promise<number> {
  const [row] = await q.query<{ count: number }>(
    `select count(distinct o.id)::int as count from saasctl.operator o join saasctl.operator_token t on t.operator_id = o.id
     where o.role = 'admin' and o.revoked_at is null and t.expires_at > clock_timestamp()`
  )
  return row?.count ?? 0
}
