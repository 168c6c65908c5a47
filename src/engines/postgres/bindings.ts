import type { Binding, DatabaseNames } from '../engine.js'
import { id, literal } from './quote.js'
import type { Session } from './session.js'

const FORM = 'saasctl binding '

/**
 * As the database's comment: it lies outside of the database, so that nobody has to enter it to read or to write it, only
 * its owner, control, may set it, and a copy by TEMPLATE does not take it along.
 */
export async function bind(session: Session, { database }: DatabaseNames, text: string): Promise<void> {
  const there = await session.rows('SELECT FROM pg_catalog.pg_database WHERE datname = $1 AND datconnlimit <> -2', [
    database
  ])
  if (there.length > 0) await session.run(`COMMENT ON DATABASE ${id(database)} IS ${literal(FORM + text)}`)
}

export async function bindingsOf(session: Session): Promise<Binding[]> {
  return session.rows<{ database: string; text: string }>(
    `SELECT d.datname::text AS database, substr(s.description, $2) AS text
     FROM pg_catalog.pg_shdescription s JOIN pg_catalog.pg_database d ON d.oid = s.objoid
     WHERE s.classoid = 'pg_catalog.pg_database'::pg_catalog.regclass AND starts_with(s.description, $1)
       AND d.datconnlimit <> -2 ORDER BY 1`,
    [FORM, FORM.length + 1]
  )
}
