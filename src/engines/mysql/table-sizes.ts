import type { Credentials, ServerAddress } from '../engine.js'
import { literal } from './quote.js'
import { read } from './read.js'

/** How much disk each of the tables takes, indexes included, as InnoDB estimates it. A name that is no table has no size. */
export async function tableSizes(
  server: ServerAddress,
  database: string,
  as: Credentials,
  tables: string[]
): Promise<Map<string, number>> {
  if (tables.length === 0) return new Map()
  const rows = await read(
    server,
    database,
    as,
    `SELECT TABLE_NAME AS name, DATA_LENGTH + INDEX_LENGTH AS bytes FROM information_schema.TABLES
     WHERE TABLE_SCHEMA = ${literal(database)} AND TABLE_NAME IN (${tables.map(literal).join(', ')})`,
    { timeoutMs: 10_000 }
  )
  return new Map(rows.map(({ name, bytes }) => [String(name), Number(bytes)]))
}
