import type { Queryable } from '../../catalog/catalog.js'
import { open } from '../../catalog/operations.js'
import { beforeAdoption } from './parts.js'

/** Ids of tenants and databases that an operation is at work on: what is seen of them is on its way to something else. */
export async function atWork(q: Queryable): Promise<Set<string>> {
  const rows = await q.query<{ tenant: string | null; database: string | null }>(
    `select tenant_id as tenant, input->>'databaseId' as database from saasctl.operation where status in ${open}`
  )
  return new Set(rows.flatMap(({ tenant, database }) => [tenant, database].filter(id => id !== null)))
}

/** Which of the operations were begun before the catalog was last adopted. */
export async function begunBeforeAdoption(q: Queryable, ids: string[]): Promise<Set<string>> {
  if (ids.length === 0) return new Set()
  const rows = await q.query<{ id: string }>(
    `select o.id from saasctl.operation o where o.id = any($1::uuid[]) and ${beforeAdoption('o')}`,
    [ids]
  )
  return new Set(rows.map(({ id }) => id))
}

/** Seconds that have passed since a moment, by the catalog's clock. */
export async function secondsSince(q: Queryable, moments: Date[]): Promise<number[]> {
  const rows = await q.query<{ seconds: number }>(
    `select extract(epoch from clock_timestamp() - at)::float8 as seconds
     from unnest($1::timestamptz[]) with ordinality as m (at, n) order by n`,
    [moments]
  )
  return rows.map(row => row.seconds)
}
