import { SCHEMA } from './furnish.js'
import type { Session } from './session.js'

/**
 * What the server has counted of writes to the database's tables, and when it began to count: after a crash it begins anew,
 * and then nobody can say that nothing was written. Sessions that wrote have said so when they have ended. Large objects
 * are no tables of the database's own: they count by how many there are and when the newest was made.
 */
export async function writesOf(session: Session): Promise<string> {
  const [row] = await session.rows<{ writes: string }>(
    `SELECT pg_catalog.concat_ws('/', since.at, tables.writes, large.writes) AS writes FROM
       (SELECT pg_catalog.date_part('epoch', stats_reset)::text AS at FROM pg_catalog.pg_stat_database
        WHERE datname = pg_catalog.current_database()) since,
       (SELECT pg_catalog.count(*) || '/' || coalesce(pg_catalog.sum(n_tup_ins + n_tup_upd + n_tup_del), 0) AS writes
        FROM pg_catalog.pg_stat_user_tables WHERE schemaname <> '${SCHEMA}') tables,
       (SELECT pg_catalog.count(*) || '/' || coalesce(pg_catalog.max(xmin::text::bigint), 0) AS writes
        FROM pg_catalog.pg_largeobject_metadata) large`
  )
  return row?.writes ?? ''
}
