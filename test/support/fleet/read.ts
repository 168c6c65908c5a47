import type { DatabaseRowState } from '../../../src/catalog/databases.js'
import type { OperationStatus } from '../../../src/catalog/operations.js'
import { listServers, type ServerRow } from '../../../src/catalog/servers.js'
import type { TenantStatus } from '../../../src/catalog/tenants.js'
import type { DatabaseLimits, DatabaseNames, LoginRole } from '../../../src/engines/engine.js'
import type { Saasctl } from '../../../src/saasctl.js'

export interface FleetTenant {
  id: string
  slug: string
  status: TenantStatus
  statusBefore: 'active' | 'suspended' | null
  databaseId: string | null
  planLimits: DatabaseLimits
}

export interface FleetDatabase {
  id: string
  serverId: string
  name: string
  kind: 'tenant' | 'template'
  state: DatabaseRowState
  template: string
  limits: DatabaseLimits
  migration: string | null
  fingerprint: string | null
  logins: number
  keys: number
  names: DatabaseNames
  tenant: FleetTenant | undefined
}

export interface FleetOperation {
  id: string
  kind: string
  status: OperationStatus
  tenantId: string | null
  owner: string | null
  leased: boolean
  finished: boolean
  steps: string[]
  hasError: boolean
}

/** What the catalog says, all of it. */
export interface Fleet {
  servers: ServerRow[]
  tenants: FleetTenant[]
  databases: FleetDatabase[]
  operations: FleetOperation[]
}

export async function readFleet(saasctl: Saasctl): Promise<Fleet> {
  const { catalog } = saasctl
  const tenants = await catalog.query<FleetTenant>(
    `select t.id, t.slug, t.status, t.status_before_delete as "statusBefore", p.database_id as "databaseId",
       plan.definition->'limits' as "planLimits"
     from saasctl.tenant t left join saasctl.placement p on p.tenant_id = t.id join saasctl.plan plan on plan.name = t.plan`
  )
  const rows = await catalog.query<Omit<FleetDatabase, 'names' | 'tenant'>>(
    `select d.id, d.server_id as "serverId", d.name, d.kind, d.state, m.name as template, d.limits, d.migration, d.fingerprint,
       (select count(*)::int from saasctl.login l where l.database_id = d.id) as logins,
       (select count(*)::int from saasctl.data_key k where k.database_id = d.id) as keys
     from saasctl.database d join saasctl.template m on m.id = d.template_id`
  )
  const operations = await catalog.query<FleetOperation>(
    `select o.id, o.kind, o.status, o.tenant_id as "tenantId", o.owner, o.lease_until is not null as leased,
       o.finished_at is not null as finished, o.error is not null as "hasError",
       array(select s.status from saasctl.operation_step s where s.operation_id = o.id order by s.position) as steps
     from saasctl.operation o`
  )
  const servers = await listServers(catalog)
  const databases: FleetDatabase[] = []
  for (const row of rows) {
    const engine = await saasctl.engine(servers.find(({ id }) => id === row.serverId)?.engine ?? 'postgres')
    const tenant = tenants.find(({ databaseId }) => databaseId === row.id)
    databases.push({ ...row, names: engine.names(row.id), tenant })
  }
  return { servers, tenants, databases, operations }
}

export const isLive = ({ state }: FleetDatabase) => state !== 'dropped'

/** Which logins a database that nothing works on must have open. */
export function openLogins({ kind, tenant, state }: FleetDatabase): LoginRole[] {
  if (state === 'retired') return []
  if (kind === 'template') return ['owner']
  if (tenant?.status === 'suspended') return ['owner', 'readonly']
  if (tenant?.status === 'deleted') return []
  return ['owner', 'app_a', 'app_b', 'readonly']
}
