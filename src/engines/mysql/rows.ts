import { id } from './quote.js'
import type { Session } from './session.js'

/** Statements of this many tables each: a thousand tables are a few round trips. */
const BATCH = 100

/** Counts the rows of every table of the session's database. */
export async function rowsOf(session: Session): Promise<Record<string, number>> {
  const tables = await tablesOf(session)
  const counts: Record<string, number> = {}
  for (let at = 0; at < tables.length; at += BATCH) {
    const batch = tables.slice(at, at + BATCH)
    const counting = batch.map(
      (_, index) => `SELECT ${index} AS at, COUNT(*) AS counted FROM ${id(batch[index] ?? '')}`
    )
    for (const row of await session.rows<{ at: number; counted: number }>(counting.join(' UNION ALL '))) {
      const name = batch[Number(row.at)]
      if (name !== undefined) counts[name] = Number(row.counted)
    }
  }
  return counts
}

/** The tables of the session's database that hold rows. */
export async function tablesOf(session: Session): Promise<string[]> {
  const rows = await session.rows<{ name: string }>(
    `SELECT TABLE_NAME AS name FROM information_schema.TABLES
     WHERE TABLE_SCHEMA = ? AND TABLE_TYPE NOT IN ('VIEW', 'SEQUENCE') ORDER BY TABLE_NAME`,
    [session.place.database]
  )
  return rows.map(({ name }) => name)
}
