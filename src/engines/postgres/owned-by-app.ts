import type { Session } from './session.js'

/** Whether the app's group owns something in the session's database. Large objects are what an app can make without any right. */
export async function ownedByApp(session: Session): Promise<boolean> {
  const rows = await session.rows(
    `SELECT FROM pg_catalog.pg_shdepend s JOIN pg_catalog.pg_database d ON d.oid = s.dbid
     JOIN pg_catalog.pg_roles r ON r.oid = s.refobjid
     WHERE d.datname = pg_catalog.current_database() AND s.deptype = 'o'
       AND s.refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass AND r.rolname = d.datname || 'app' LIMIT 1`
  )
  return rows.length > 0
}
