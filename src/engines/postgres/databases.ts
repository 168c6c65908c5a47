import type { DatabaseNames } from '../engine.js'
import { answerOf } from './errors.js'
import { id } from './quote.js'
import type { Session } from './session.js'
import { endLateSessions, inDatabase, ofLogins, sessionsGone } from './terminate.js'

/** Below this, writing the copy to the log is 1.6 to 2.9 times as fast as the two checkpoints of a file copy. */
const FILE_COPY_FROM = 100 * 1024 * 1024

/**
 * Makes the database, closed to everybody and owned by the control login. One that is there is left as it is: it became
 * visible whole. What a killed drop left behind (`datconnlimit = -2`) is dropped first.
 */
export async function makeDatabase(
  session: Session,
  names: DatabaseNames,
  template?: { names: DatabaseNames; bytes: number }
): Promise<void> {
  const found = await databaseRow(session, names.database)
  if (found && !found.debris) return
  if (found) await dropDatabase(session, names)
  const make = (source: string) =>
    session.run(`CREATE DATABASE ${id(names.database)} ${source} ALLOW_CONNECTIONS false`)
  try {
    if (!template) await make(`TEMPLATE template0 ENCODING 'UTF8' STRATEGY wal_log`)
    else if (template.bytes < FILE_COPY_FROM) await make(`TEMPLATE ${id(template.names.database)} STRATEGY wal_log`)
    else await copyFiles(session, () => make(`TEMPLATE ${id(template.names.database)} STRATEGY file_copy`))
  } catch (error) {
    if (answerOf(error)?.state !== '42P04') throw error
  }
}

/**
 * PostgreSQL 18 asks the file system to share the blocks: 0.1 s for 800 MB and no disk, where the file system can. Where
 * it cannot, or the server was built without, the files are copied.
 */
async function copyFiles(session: Session, make: () => Promise<void>): Promise<void> {
  if (session.major < 18) return await make()
  try {
    await session.run('SET file_copy_method = clone')
    return await make()
  } catch (error) {
    if (!CANNOT_CLONE.includes(answerOf(error)?.state ?? '')) throw error
  } finally {
    if (!session.inDoubt) await session.run('RESET file_copy_method')
  }
  await make()
}

/** An unknown value of the setting, and the kernel's refusals as PostgreSQL passes them on. */
const CANNOT_CLONE = ['22023', '0A000', '42501', 'XX000']

/** One transaction: nobody can connect before the public's right to is gone. */
export async function guardDatabase(session: Session, names: DatabaseNames): Promise<void> {
  const database = id(names.database)
  await session.run(`
    REVOKE ALL ON DATABASE ${database} FROM PUBLIC;
    GRANT CONNECT ON DATABASE ${database} TO ${id(names.members)};
    GRANT CREATE, TEMPORARY ON DATABASE ${database} TO ${id(names.logins.owner)};
    ALTER DATABASE ${database} ALLOW_CONNECTIONS true`)
}

/** Closes the door, then ends who is inside. An absent database is as closed as can be. */
export async function sealDatabase(session: Session, names: DatabaseNames, graceMs: number): Promise<void> {
  const found = await databaseRow(session, names.database)
  if (!found || found.debris) return
  await session.run(`ALTER DATABASE ${id(names.database)} ALLOW_CONNECTIONS false`)
  await sessionsGone(session, ofLogins(Object.values(names.logins)), graceMs)
  await endLateSessions(session, inDatabase(names.database))
}

/** Opens it for its members again, and for nobody else whatever happened meanwhile. */
export async function unsealDatabase(session: Session, names: DatabaseNames): Promise<void> {
  const database = id(names.database)
  await session.run(`
    REVOKE ALL ON DATABASE ${database} FROM PUBLIC;
    ALTER DATABASE ${database} ALLOW_CONNECTIONS true`)
}

/** Drops it whoever is connected, sealed or not, and what a killed drop left. Already gone is fine. */
export async function dropDatabase(session: Session, names: DatabaseNames): Promise<void> {
  await session.run(`DROP DATABASE IF EXISTS ${id(names.database)} WITH (FORCE)`)
}

async function databaseRow(session: Session, database: string): Promise<{ debris: boolean } | undefined> {
  const [row] = await session.rows<{ debris: boolean }>(
    'SELECT datconnlimit = -2 AS debris FROM pg_catalog.pg_database WHERE datname = $1',
    [database]
  )
  return row
}
