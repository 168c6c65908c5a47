import type { DatabaseLimits } from '../engines/engine.js'
import { prepared, type Queryable } from './catalog.js'
import { open } from './operations.js'

export type DatabaseRowState = 'building' | 'ready' | 'placed' | 'retired' | 'dropping' | 'dropped'

export interface DatabaseRow {
  id: string
  serverId: string
  name: string
  kind: 'tenant' | 'template'
  templateId: string
  state: DatabaseRowState
  limits: DatabaseLimits
  profile: string
  activeApp: 'app_a' | 'app_b'
  migration: string | null
  migrationsChecksum: string | null
  fingerprint: string | null
  bytes: number | null
  createdAt: Date
}

const columns = `d.id, d.server_id as "serverId", d.name, d.kind, d.template_id as "templateId", d.state, d.limits, d.profile,
  d.active_app as "activeApp", d.migration, d.migrations_checksum as "migrationsChecksum", d.fingerprint, d.bytes::float8 as bytes,
  d.created_at as "createdAt"`

export type NewDatabase = Pick<DatabaseRow, 'id' | 'serverId' | 'name' | 'kind' | 'templateId' | 'limits' | 'profile'>

export async function insertDatabase(q: Queryable, database: NewDatabase): Promise<void> {
  await q.query(
    `insert into saasctl.database (id, server_id, name, kind, template_id, state, limits, profile)
     values ($1, $2, $3, $4, $5, 'building', $6, $7)`,
    [
      database.id,
      database.serverId,
      database.name,
      database.kind,
      database.templateId,
      database.limits,
      database.profile
    ]
  )
}

export async function databaseById(q: Queryable, id: string): Promise<DatabaseRow | undefined> {
  const [row] = await q.query<DatabaseRow>(prepared(`select ${columns} from saasctl.database d where d.id = $1`), [id])
  return row
}

/** The newest sealed template database of this template version on this server. */
export async function templateDatabase(
  q: Queryable,
  serverId: string,
  templateId: string
): Promise<DatabaseRow | undefined> {
  const [row] = await q.query<DatabaseRow>(
    `select ${columns} from saasctl.database d
     where d.server_id = $1 and d.template_id = $2 and d.kind = 'template' and d.state = 'ready' order by d.id desc limit 1`,
    [serverId, templateId]
  )
  return row
}

/**
 * The template database that this copy is made from, the same in every try: one that was built anew since it was promised
 * is not it, for what lies half made may be a copy of the one before. By the catalog's clock.
 */
export async function templateToCopy(q: Queryable, copyId: string): Promise<DatabaseRow | undefined> {
  const [row] = await q.query<DatabaseRow>(
    `select ${columns} from saasctl.database c
     join saasctl.database d on d.server_id = c.server_id and d.template_id = c.template_id
     where c.id = $1 and d.kind = 'template' and d.state = 'ready'
     order by d.created_at <= c.created_at desc, d.id desc limit 1`,
    [copyId]
  )
  return row
}

/**
 * Template databases on the server of older versions of the same template, which nothing is being copied from any more:
 * no database of their version is in the making.
 */
export async function outdatedTemplateDatabases(
  q: Queryable,
  serverId: string,
  templateName: string,
  keepId: string
): Promise<DatabaseRow[]> {
  return q.query<DatabaseRow>(
    `select ${columns} from saasctl.database d join saasctl.template t on t.id = d.template_id
     where d.server_id = $1 and t.name = $2 and d.kind = 'template' and d.id < $3 and d.state in ('ready', 'dropping')
       and not exists (select from saasctl.database b where b.template_id = d.template_id and b.server_id = d.server_id
         and b.kind = 'tenant' and b.state = 'building')`,
    [serverId, templateName, keepId]
  )
}

/** Whether a database is in the making on the server from any version of the template. */
export async function beingCopied(q: Queryable, serverId: string, templateName: string): Promise<boolean> {
  const rows = await q.query(
    `select from saasctl.database d join saasctl.template t on t.id = d.template_id
     where d.server_id = $1 and t.name = $2 and d.state = 'building' limit 1`,
    [serverId, templateName]
  )
  return rows.length > 0
}

/** What there is of a template on the server, in any version, that no tenant has: its own databases and warm ones. */
export async function databasesToDrop(q: Queryable, serverId: string, templateName: string): Promise<DatabaseRow[]> {
  return q.query<DatabaseRow>(
    `select ${columns} from saasctl.database d join saasctl.template t on t.id = d.template_id
     where d.server_id = $1 and t.name = $2 and d.state = 'ready' for update of d`,
    [serverId, templateName]
  )
}

export interface BuiltTemplate {
  server: string
  version: number
  database: string
  migration: string | null
  bytes: number | null
  builtAt: Date
  /** Databases ready to be claimed, whatever their plan. */
  warm: number
}

/** Where a template is built, in every version that is still there. */
export async function builtTemplates(q: Queryable, name: string): Promise<BuiltTemplate[]> {
  return q.query<BuiltTemplate>(
    `select s.name as server, t.version, d.name as database, d.migration, d.bytes::float8 as bytes, d.created_at as "builtAt",
       (select count(*)::int from saasctl.database w
        where w.template_id = t.id and w.server_id = s.id and w.kind = 'tenant' and w.state = 'ready') as warm
     from saasctl.database d
     join saasctl.template t on t.id = d.template_id
     join saasctl.server s on s.id = d.server_id
     where t.name = $1 and d.kind = 'template' and d.state = 'ready' order by s.name, t.version desc`,
    [name]
  )
}

export interface WarmWish {
  templateId: string
  engine: string | null
  server: string | null
  region: string | null
  /** A database with these limits is taken first; any other serves too, and gets its limits in a following step. */
  profile: string
}

/**
 * Claims one warm database at its template's head, on a server that takes tenants: of two claims at once each gets another.
 * Least loaded first is not asked here: the pool's own filling has spread them.
 */
export async function claimWarm(q: Queryable, wish: WarmWish): Promise<DatabaseRow | undefined> {
  const [row] = await q.query<DatabaseRow>(
    `with claimed as (
       select w.id from saasctl.database w
       join saasctl.server s on s.id = w.server_id
       join saasctl.database h on h.server_id = w.server_id and h.template_id = w.template_id and h.kind = 'template' and h.state = 'ready'
       where w.template_id = $1 and w.kind = 'tenant' and w.state = 'ready' and w.migrations_checksum = h.migrations_checksum
         and s.status = 'active' and ($2::text is null or s.name = $2) and ($3::text is null or s.region = $3)
         and ($5::text is null or s.engine = $5)
       order by w.profile <> $4, w.id
       limit 1 for update of w skip locked)
     update saasctl.database d set state = 'placed' from claimed where d.id = claimed.id
     returning ${columns}`,
    [wish.templateId, wish.server, wish.region, wish.profile, wish.engine]
  )
  return row
}

/**
 * Takes the ready warm databases of older versions of the template out of the pool, to be brought to head. They count for
 * the new version from here on, so that nobody makes others in their place.
 */
export async function claimStale(
  q: Queryable,
  serverId: string,
  templateName: string,
  headId: string
): Promise<Array<{ id: string }>> {
  return q.query<{ id: string }>(
    `update saasctl.database d set state = 'building', template_id = $3 from saasctl.template t
     where t.id = d.template_id and t.name = $2 and d.template_id <> $3 and d.server_id = $1 and d.kind = 'tenant' and d.state = 'ready'
     returning d.id`,
    [serverId, templateName, headId]
  )
}

export interface WarmCount {
  templateId: string
  serverId: string
  profile: string
  ready: number
  building: number
}

export async function countWarm(q: Queryable, templateId: string): Promise<WarmCount[]> {
  return q.query<WarmCount>(
    `select d.template_id as "templateId", d.server_id as "serverId", d.profile,
       count(*) filter (where d.state = 'ready')::int as ready, count(*) filter (where d.state = 'building')::int as building
     from saasctl.database d
     where d.template_id = $1 and d.kind = 'tenant' and d.state in ('ready', 'building')
       and not exists (select from saasctl.operation o where o.tenant_id is not null and o.input->>'databaseId' = d.id::text
         and o.status in ${open})
     group by 1, 2, 3`,
    [templateId]
  )
}

export async function place(q: Queryable, tenantId: string, databaseId: string): Promise<void> {
  await q.query('insert into saasctl.placement (tenant_id, database_id) values ($1, $2)', [tenantId, databaseId])
}

export async function unplace(q: Queryable, tenantId: string): Promise<void> {
  await q.query('delete from saasctl.placement where tenant_id = $1', [tenantId])
}

export async function setDatabaseState(q: Queryable, id: string, state: DatabaseRowState): Promise<void> {
  await q.query(
    `update saasctl.database set state = $2, dropped_at = case when $2 = 'dropped' then now() end where id = $1`,
    [id, state]
  )
}

export async function setLimits(q: Queryable, id: string, limits: DatabaseLimits, profile: string): Promise<void> {
  await q.query('update saasctl.database set limits = $2, profile = $3 where id = $1', [id, limits, profile])
}

export async function setBytes(q: Queryable, id: string, bytes: number): Promise<void> {
  await q.query('update saasctl.database set bytes = $2 where id = $1', [id, bytes])
}

/** Sizes of many databases at once; one that is as it was is not written. */
export async function setSizes(q: Queryable, sizes: Array<{ id: string; bytes: number }>): Promise<void> {
  await q.query(
    `update saasctl.database d set bytes = f.bytes from unnest($1::uuid[], $2::bigint[]) as f (id, bytes)
     where d.id = f.id and d.bytes is distinct from f.bytes`,
    [sizes.map(({ id }) => id), sizes.map(({ bytes }) => Math.round(bytes))]
  )
}

/** What was seen inside the database when it was last migrated; a size that was not taken stays as it was. */
export async function setSchema(
  q: Queryable,
  id: string,
  seen: { migration: string | null; migrationsChecksum: string; fingerprint: string | null; bytes: number | null }
): Promise<void> {
  await q.query(
    `update saasctl.database set migration = $2, migrations_checksum = $3, fingerprint = $4,
       bytes = coalesce($5, bytes) where id = $1`,
    [id, seen.migration, seen.migrationsChecksum, seen.fingerprint, seen.bytes]
  )
}

/** Every database the catalog ever had on the server, with what it knows of it: for `doctor`. */
export async function databasesOnServer(
  q: Queryable,
  serverId: string
): Promise<Array<DatabaseRow & { tenantId: string | null; slug: string | null }>> {
  return q.query(
    `select ${columns}, t.id as "tenantId", t.slug from saasctl.database d
     left join saasctl.placement p on p.database_id = d.id
     left join saasctl.tenant t on t.id = p.tenant_id
     where d.server_id = $1`,
    [serverId]
  )
}
