import { SCHEMA } from './furnish.js'
import type { Session } from './session.js'

/**
 * What the server has counted of writes to each table, which tables and files there are, and since when it counts: after a
 * crash it begins anew, and then nobody can say that nothing was written. Sessions that wrote have said so when they have
 * ended. A table that was truncated has another file; large objects count by how many there are and the newest one.
 */
export async function writesOf(session: Session): Promise<string> {
  const [row] = await session.rows<{ writes: string }>(
    `SELECT pg_catalog.md5(pg_catalog.concat_ws('/',
       (SELECT stats_reset::text FROM pg_catalog.pg_stat_database WHERE datname = pg_catalog.current_database()),
       (SELECT pg_catalog.string_agg(pg_catalog.concat_ws(':', relid, pg_catalog.pg_relation_filenode(relid), n_tup_ins,
          n_tup_upd, n_tup_del), ',' ORDER BY relid)
        FROM pg_catalog.pg_stat_user_tables WHERE schemaname <> '${SCHEMA}'),
       (SELECT pg_catalog.concat_ws(':', pg_catalog.count(*), pg_catalog.max(xmin::text::bigint))
        FROM pg_catalog.pg_largeobject_metadata))) AS writes`
  )
  return row?.writes ?? ''
}
