import type { Queryable } from './catalog.js'
import { programVersion, readInstance } from './instance.js'
import { open } from './operations.js'

export interface CatalogStatus {
  incarnation: string
  schemaVersion: number
  programVersion: number
  /** The login this program talks to the catalog with, and whether it could go past the audit trail's guard. */
  login: string
  superuser: boolean
  server: string
  tenants: Record<string, number>
  servers: number
  openOperations: number
  workers: number
  keysBackedUpAt: Date | null
  catalogBackedUpAt: Date | null
}

/** What the catalog is, and how much is in it. Tenants are counted one by one: seconds for a million. */
export async function catalogStatus(q: Queryable): Promise<CatalogStatus> {
  const instance = await readInstance(q)
  const [row] = await q.query<
    Omit<CatalogStatus, 'incarnation' | 'schemaVersion' | 'programVersion' | 'keysBackedUpAt' | 'catalogBackedUpAt'>
  >(
    `select current_user as login, current_setting('server_version') as server,
       (select rolsuper from pg_roles where rolname = current_user) as superuser,
       (select coalesce(json_object_agg(status, n), '{}') from (select status, count(*) n from saasctl.tenant group by status) t) as tenants,
       (select count(*)::int from saasctl.server where status <> 'removed') as servers,
       (select count(*)::int from saasctl.operation where status in ${open}) as "openOperations",
       (select count(*)::int from saasctl.worker where seen_at > clock_timestamp() - interval '20 s') as workers`
  )
  if (!row) throw new Error('a select without a table gives one row')
  const { incarnation, schemaVersion, keysBackedUpAt, catalogBackedUpAt } = instance
  const known = { incarnation, schemaVersion, programVersion: await programVersion() }
  return { ...known, keysBackedUpAt, catalogBackedUpAt, ...row }
}
