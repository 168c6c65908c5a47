import type { Survey } from '../engines/engine.js'
import type { Queryable } from './catalog.js'

/** What a database was before it was ours. */
export interface AdoptionRow {
  databaseId: string
  originalName: string
  before: Survey
  adoptedAt: Date
}

export async function keepAdoption(q: Queryable, row: Omit<AdoptionRow, 'adoptedAt'>): Promise<void> {
  await q.query('insert into saasctl.adoption (database_id, original_name, before) values ($1, $2, $3)', [
    row.databaseId,
    row.originalName,
    row.before
  ])
}

export async function adoptionOf(q: Queryable, databaseId: string): Promise<AdoptionRow | undefined> {
  const [row] = await q.query<AdoptionRow>(
    `select database_id as "databaseId", original_name as "originalName", before, adopted_at as "adoptedAt"
     from saasctl.adoption where database_id = $1`,
    [databaseId]
  )
  return row
}

/** Whether a database of this name on the server is one that the catalog has. */
export async function isKnownDatabase(q: Queryable, serverId: string, name: string): Promise<boolean> {
  const rows = await q.query(`select from saasctl.database where server_id = $1 and name = $2 and state <> 'dropped'`, [
    serverId,
    name
  ])
  return rows.length > 0
}

/** A database that is not ours any more may come back under its name: the row keeps it with what it was. */
export async function freeName(q: Queryable, databaseId: string): Promise<void> {
  await q.query(`update saasctl.database set name = name || ' until ' || id where id = $1`, [databaseId])
}
