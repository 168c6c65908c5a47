import type { Queryable } from './catalog.js'

/** What the catalog knows of one tenant, for whoever has to believe us: no secret is among it. */
export interface Dossier {
  tenant: object
  access: { logins: object[]; operators: object[] }
  backups: object[]
}

export async function dossierOf(q: Queryable, tenantId: string): Promise<Dossier> {
  const [tenant = {}] = await q.query(
    `select t.id, t.slug, t.display_name as "displayName", t.status, t.plan, t.template, t.labels, t.region,
       t.created_at as "createdAt", p.definition as "planDefinition", d.id as "databaseId", d.name as database,
       d.limits, d.migration, s.name as server, s.engine, s.host, s.port,
       coalesce((select json_agg(h order by h.hostname) from saasctl.hostname h where h.tenant_id = t.id), '[]') as domains
     from saasctl.tenant t
     left join saasctl.plan p on p.name = t.plan
     left join saasctl.placement pl on pl.tenant_id = t.id
     left join saasctl.database d on d.id = pl.database_id
     left join saasctl.server s on s.id = d.server_id
     where t.id = $1`,
    [tenantId]
  )
  const logins = await q.query(
    `select l.role, l.name, case l.role when 'owner' then 'the control plane alone' when 'readonly' then 'reads'
         else 'the application: reads and writes rows' end as may,
       d.created_at as "since", l.version as "passwordsSoFar", l.changed_at as "passwordSince",
       case when l.role in ('app_a', 'app_b') then l.role = d.active_app end as "inUse", d.state as "databaseState"
     from saasctl.login l join saasctl.database d on d.id = l.database_id
     join saasctl.placement p on p.database_id = d.id where p.tenant_id = $1 order by l.name`,
    [tenantId]
  )
  const operators = await q.query(
    `select name, role, created_at as "since", revoked_at as "until" from saasctl.operator order by created_at`
  )
  const backups = await q.query(
    `select id, status, reason, taken_at as "takenAt", bytes, row_count as "rows", migration,
       verified_at as "lastVerifiedRestore", expires_at as "expiresAt" from saasctl.backup
     where tenant_id = $1 order by id`,
    [tenantId]
  )
  return { tenant, access: { logins, operators }, backups }
}

export interface ChainLine {
  seq: number
  body: string
  hash: string
  /** Hex. Salt and payload are gone where they were erased. */
  salt: string | null
  payload: string | null
}

/** The tenant's own audit chain, a page after the given event. */
export async function chainPage(q: Queryable, chain: string, after: number, limit: number): Promise<ChainLine[]> {
  return q.query<ChainLine>(
    `select e.seq::float8 as seq, e.body, e.hash, encode(p.salt, 'hex') as salt, p.payload
     from saasctl.audit_event e left join saasctl.audit_payload p on p.chain = e.chain and p.seq = e.seq
     where e.chain = $1 and e.seq > $2 order by e.seq limit $3`,
    [chain, after, limit]
  )
}
