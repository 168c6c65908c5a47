import { SETTINGS, SQL_MODE } from './connect.js'
import { id, literal } from './quote.js'
import { recordTable } from './records.js'
import type { Session } from './session.js'
import type { Made, Snapshot } from './snapshot.js'

/** In an order that no foreign key asks for while their checks are off, and that fires no trigger. */
export async function play(session: Session, snapshot: Snapshot): Promise<void> {
  await unchecked(session)
  for (const made of snapshot.tables) await make(session, made)
  await session.run('START TRANSACTION')
  for (const insert of snapshot.rows) await session.run(insert)
  if (snapshot.migrations.length > 0) {
    const names = snapshot.migrations.map(name => `(${literal(name)})`)
    await session.run(
      `INSERT INTO ${recordTable(session.place.database, 'pgmigrations')} (name) VALUES ${names.join(', ')}`
    )
  }
  await session.run('COMMIT')
  // Before routines and triggers, which keep the sql_mode that they are made in.
  await session.run(SETTINGS)
  for (const made of [...snapshot.routines, ...snapshot.views, ...snapshot.triggers]) await make(session, made)
}

/** Takes everything out of a database that an earlier try did not finish. Its identity row is what says that it did not. */
export async function clear(session: Session): Promise<void> {
  const { database } = session.place
  await unchecked(session)
  const rows = await session.rows<{ kind: string; name: string }>(
    `SELECT CASE TABLE_TYPE WHEN 'VIEW' THEN 'VIEW' WHEN 'SEQUENCE' THEN 'SEQUENCE' ELSE 'TABLE' END AS kind,
       TABLE_NAME AS name FROM information_schema.TABLES WHERE TABLE_SCHEMA = ?
     UNION ALL SELECT ROUTINE_TYPE, ROUTINE_NAME FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = ?`,
    [database, database]
  )
  for (const { kind, name } of rows) await session.run(`DROP ${kind} IF EXISTS ${id(name)}`)
  await session.run(`DELETE FROM ${recordTable(database, 'pgmigrations')}`)
  await session.run(SETTINGS)
}

/** A row may have the number 0, which AUTO_INCREMENT would count up otherwise. */
const unchecked = (session: Session) =>
  session.run(`SET SESSION foreign_key_checks = 0, SESSION unique_checks = 0, SESSION default_storage_engine = InnoDB,
    SESSION sql_mode = '${SQL_MODE},NO_AUTO_VALUE_ON_ZERO'`)

async function make(session: Session, { sql, mode }: Made): Promise<void> {
  if (mode !== undefined && mode !== SQL_MODE) await session.run(`SET SESSION sql_mode = ${literal(mode)}`)
  await session.run(sql)
  if (mode !== undefined && mode !== SQL_MODE) await session.run(`SET SESSION sql_mode = ${literal(SQL_MODE)}`)
}
