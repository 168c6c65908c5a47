import type { Binding, DatabaseNames } from '../engine.js'
import { ourForm, recordsOf } from './names.js'
import { id } from './quote.js'
import type { Session } from './session.js'

const TABLE = 'binding'

/** In our records, in a table that no app or read-only login has a right to. It names the database: an adopted one kept its own. */
export async function bind(session: Session, { database }: DatabaseNames, text: string): Promise<void> {
  const records = recordsOf(database)
  const there = await session.rows('SELECT 1 FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = ?', [records])
  if (there.length === 0) return
  const table = `${id(records)}.${id(TABLE)}`
  await session.run(
    `CREATE TABLE IF NOT EXISTS ${table} (one tinyint NOT NULL PRIMARY KEY, name varchar(64) NOT NULL, sealed mediumtext NOT NULL)
     ENGINE = InnoDB CHARACTER SET utf8mb4`
  )
  await session.run(`REPLACE INTO ${table} VALUES (1, ?, ?)`, [database, text])
}

/** One round trip a hundred databases: each has a table of its own. */
const AT_ONCE = 100

export async function bindingsOf(session: Session): Promise<Binding[]> {
  const bound = await session.rows<{ records: string }>(
    'SELECT TABLE_SCHEMA AS records FROM information_schema.TABLES WHERE TABLE_NAME = ? AND TABLE_SCHEMA REGEXP ? ORDER BY 1',
    [TABLE, `^${ourForm}ctl$`]
  )
  const found: Binding[] = []
  for (let at = 0; at < bound.length; at += AT_ONCE) {
    const some = bound.slice(at, at + AT_ONCE)
    const selects = some.map(
      ({ records }) => `SELECT name AS \`database\`, sealed AS text FROM ${id(records)}.${id(TABLE)}`
    )
    found.push(...(await session.rows<{ database: string; text: string }>(selects.join(' UNION ALL '))))
  }
  return found
}
