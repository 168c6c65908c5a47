import type { Queryable } from './catalog.js'

export interface HostnameRow {
  hostname: string
  /** What the TXT record must say. */
  proof: string
  verifiedAt: Date | null
  createdAt: Date
}

const columns = 'h.hostname, h.proof, h.verified_at as "verifiedAt", h.created_at as "createdAt"'

export async function hostnamesOf(q: Queryable, tenantId: string): Promise<HostnameRow[]> {
  return q.query<HostnameRow>(`select ${columns} from saasctl.hostname h where h.tenant_id = $1 order by h.hostname`, [
    tenantId
  ])
}

export async function hostnameOfTenant(
  q: Queryable,
  tenantId: string,
  hostname: string
): Promise<HostnameRow | undefined> {
  const [row] = await q.query<HostnameRow>(
    `select ${columns} from saasctl.hostname h where h.tenant_id = $1 and h.hostname = $2`,
    [tenantId, hostname]
  )
  return row
}

/** The claim that is there already stays as it is. */
export async function insertHostname(q: Queryable, tenantId: string, hostname: string, proof: string): Promise<void> {
  await q.query(
    'insert into saasctl.hostname (hostname, tenant_id, proof) values ($1, $2, $3) on conflict (hostname, tenant_id) do nothing',
    [hostname, tenantId, proof]
  )
}

/** From here on it routes. Violates hostname_proven when it is another tenant's. */
export async function markProven(q: Queryable, tenantId: string, hostname: string): Promise<void> {
  await q.query('update saasctl.hostname set verified_at = clock_timestamp() where tenant_id = $1 and hostname = $2', [
    tenantId,
    hostname
  ])
}

export async function deleteHostname(q: Queryable, tenantId: string, hostname: string): Promise<void> {
  await q.query('delete from saasctl.hostname where tenant_id = $1 and hostname = $2', [tenantId, hostname])
}

/** A tenant that is gone has none. Gives those that it had proven. */
export async function forgetHostnames(q: Queryable, tenantId: string): Promise<string[]> {
  const rows = await q.query<HostnameRow>(
    'delete from saasctl.hostname h where h.tenant_id = $1 returning h.hostname, h.verified_at as "verifiedAt"',
    [tenantId]
  )
  return rows.filter(row => row.verifiedAt !== null).map(row => row.hostname)
}
