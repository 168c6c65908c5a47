import type { Queryable } from '../../catalog/catalog.js'
import type { DatabaseRowState } from '../../catalog/databases.js'
import { open } from '../../catalog/operations.js'
import type { TenantStatus } from '../../catalog/tenants.js'
import { beforeAdoption } from './parts.js'

/** A database as the catalog says it should be. */
export interface KnownDatabase {
  id: string
  name: string
  kind: 'tenant' | 'template'
  state: DatabaseRowState
  activeApp: 'app_a' | 'app_b'
  template: string
  tenantId: string | null
  slug: string | null
  status: TenantStatus | null
  /** It is older than the catalog's last adoption: what became of it in the catalog that was lost, nobody knows. */
  beforeAdoption: boolean
}

/** What must be on the server: everything but the dropped. */
export async function knownDatabases(q: Queryable, serverId: string): Promise<KnownDatabase[]> {
  return q.query<KnownDatabase>(
    `select d.id, d.name, d.kind, d.state, d.active_app as "activeApp", t.name as template,
       n.id as "tenantId", n.slug, n.status, ${beforeAdoption('d')} as "beforeAdoption"
     from saasctl.database d
     join saasctl.template t on t.id = d.template_id
     left join saasctl.placement p on p.database_id = d.id
     left join saasctl.tenant n on n.id = p.tenant_id
     where d.server_id = $1 and d.state <> 'dropped' order by d.id`,
    [serverId]
  )
}

export interface Whereabouts {
  id: string
  state: DatabaseRowState
  serverId: string
  server: string
}

export async function whereabouts(q: Queryable, ids: string[]): Promise<Whereabouts[]> {
  if (ids.length === 0) return []
  return q.query<Whereabouts>(
    `select d.id, d.state, d.server_id as "serverId", s.name as server
     from saasctl.database d join saasctl.server s on s.id = d.server_id where d.id = any($1::uuid[])`,
    [ids]
  )
}

/**
 * Locks the database's row when it is provably ours and nobody's: never a tenant's, or not any more, and no operation is
 * at work on it. What was made before the catalog was restored may have been given to a tenant since; then only the
 * catalog's own "dropped" is proof. Undefined when that is not so.
 */
export async function lockAbandoned(
  tx: Queryable,
  id: string
): Promise<{ state: DatabaseRowState; serverId: string } | undefined> {
  const [row] = await tx.query<{ state: DatabaseRowState; serverId: string }>(
    `select d.state, d.server_id as "serverId" from saasctl.database d
     where d.id = $1 and (d.state in ('dropping', 'dropped') or not ${beforeAdoption('d')}
         and (d.state = 'building' or d.state = 'ready' and d.kind = 'tenant'))
       and not exists (select from saasctl.placement p where p.database_id = d.id)
       and not exists (select from saasctl.operation o where o.status in ${open} and o.input->>'databaseId' = d.id::text)
     for update`,
    [id]
  )
  return row
}

/** Locks a warm database that nobody has claimed; whoever claims at this moment gets another one. */
export async function lockWarm(tx: Queryable, id: string): Promise<boolean> {
  const rows = await tx.query(
    `select from saasctl.database where id = $1 and kind = 'tenant' and state = 'ready' for update`,
    [id]
  )
  return rows.length === 1
}

/** Locks a finished template's row, so that nobody retires it meanwhile; false when it is none any more. */
export async function lockTemplate(tx: Queryable, id: string): Promise<boolean> {
  const rows = await tx.query(
    `select from saasctl.database where id = $1 and kind = 'template' and state = 'ready' for update`,
    [id]
  )
  return rows.length === 1
}
