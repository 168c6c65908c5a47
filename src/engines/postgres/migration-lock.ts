import type { DatabaseNames } from '../engine.js'
import { LOCK_KEY } from './ledger.js'
import type { Session } from './session.js'

/**
 * Ends sessions of app and read-only logins that hold the migration lock of their own database: any login may take it,
 * and only the control plane and node-pg-migrate have a use for it. Says whether there was one.
 */
export async function freeMigrationLock(control: Session, names: DatabaseNames): Promise<boolean> {
  const { app_a, app_b, readonly } = names.logins
  const ended = await control.rows(
    `SELECT pg_catalog.pg_terminate_backend(a.pid, 2000)
     FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
     WHERE l.locktype = 'advisory' AND l.granted AND a.datname = $1 AND a.usename = ANY ($2)
       AND l.database = a.datid AND l.objsubid = 1
       AND (l.classid::bigint << 32) | l.objid::bigint = $3::bigint`,
    [names.database, [app_a, app_b, readonly], LOCK_KEY]
  )
  return ended.length > 0
}
