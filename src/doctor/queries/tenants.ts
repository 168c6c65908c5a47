import type { Queryable } from '../../catalog/catalog.js'
import type { DatabaseRowState } from '../../catalog/databases.js'
import { open } from '../../catalog/operations.js'
import { beforeAdoption } from './parts.js'

export interface Stuck {
  id: string
  slug: string
  status: 'creating' | 'purging'
  placed: boolean
  /** Begun before the catalog was restored: it may live, unknown to this catalog. */
  fromBefore: boolean
}

/** Tenants on their way somewhere with no operation that takes them there. */
export async function stuckTenants(q: Queryable): Promise<Stuck[]> {
  return q.query<Stuck>(
    `select t.id, t.slug, t.status, exists (select from saasctl.placement p where p.tenant_id = t.id) as placed,
       ${beforeAdoption('t')} as "fromBefore"
     from saasctl.tenant t where t.status in ('creating', 'purging')
       and not exists (select from saasctl.operation o
         where (o.tenant_id = t.id or o.subject = 'tenant:' || t.id) and o.status in ${open}) order by t.slug`
  )
}

/** Tenants that should have a database and have none, or one that is in a state in which no tenant can live. */
export async function homelessTenants(q: Queryable): Promise<Array<{ slug: string; state: DatabaseRowState | null }>> {
  return q.query(
    `select t.slug, d.state from saasctl.tenant t
     left join saasctl.placement p on p.tenant_id = t.id left join saasctl.database d on d.id = p.database_id
     where t.status in ('active', 'suspended', 'deleted') and d.state is distinct from 'placed' order by t.slug`
  )
}

/** Databases whose sealed passwords are not all in the catalog. */
export async function databasesWithoutPasswords(q: Queryable): Promise<Array<{ name: string; slug: string | null }>> {
  return q.query(
    `select d.name, t.slug from saasctl.database d
     left join saasctl.placement p on p.database_id = d.id left join saasctl.tenant t on t.id = p.tenant_id
     where d.state not in ('dropping', 'dropped') and d.id not in (
       select l.database_id from saasctl.login l
       join saasctl.data_key k on k.database_id = l.database_id and k.purpose = l.purpose and k.version = l.key_version
       group by 1 having count(*) = 4)
     order by d.id`
  )
}

export interface OtherLimits {
  tenantId: string
  slug: string
  plan: string
  databaseId: string
}

/** Tenants whose server has other limits than their plan says now. Plans come with the checksum of their limits. */
export async function tenantsWithOtherLimits(q: Queryable, profiles: Map<string, string>): Promise<OtherLimits[]> {
  return q.query<OtherLimits>(
    `select t.id as "tenantId", t.slug, t.plan, d.id as "databaseId" from saasctl.tenant t
     join saasctl.placement p on p.tenant_id = t.id join saasctl.database d on d.id = p.database_id
     join unnest($1::text[], $2::text[]) as plan (name, profile) on plan.name = t.plan
     where t.status in ('active', 'suspended') and d.profile <> plan.profile
       and not exists (select from saasctl.operation o where o.tenant_id = t.id and o.status in ${open}) order by t.slug`,
    [[...profiles.keys()], [...profiles.values()]]
  )
}
