import type { Queryable } from '../../catalog/catalog.js'

export interface Count {
  serverId: string
  server: string
  said: number
  counted: number
}

/** Servers whose number of databases is not what their databases add up to; one statement, so that no create is half seen. */
export async function wrongCounts(q: Queryable): Promise<Count[]> {
  return q.query<Count>(
    `select s.id as "serverId", s.name as server, s.databases as said, coalesce(d.n, 0)::int as counted
     from saasctl.server s left join (
       select server_id, count(*) as n from saasctl.database where state <> 'dropped' group by 1) d on d.server_id = s.id
     where s.status <> 'removed' and s.databases <> coalesce(d.n, 0) order by s.name`
  )
}

/** Counts anew. The row is locked first: whoever takes or gives back a place does it before or after, never in between. */
export async function recount(tx: Queryable, serverId: string): Promise<void> {
  await tx.query('select from saasctl.server where id = $1 for update', [serverId])
  await tx.query(
    `update saasctl.server s set databases =
       (select count(*) from saasctl.database d where d.server_id = s.id and d.state <> 'dropped') where s.id = $1`,
    [serverId]
  )
}

/** What the catalog's own server allows the login that this program uses. */
export async function catalogLogin(q: Queryable): Promise<{ login: string; superuser: boolean; overAudit: boolean }> {
  const [row] = await q.query<{ login: string; superuser: boolean; overAudit: boolean }>(
    `select rolname::text as login, rolsuper as superuser, pg_has_role(oid, 'saasctl_audit', 'member') as "overAudit"
     from pg_roles where rolname = current_user`
  )
  return row ?? { login: '', superuser: false, overAudit: false }
}
