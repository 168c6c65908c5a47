import type { Connection } from 'mysql2'
import { QueryFailedError } from 'typeorm'
import type { ConnectionSource } from '../../routing.js'
import type { MysqlConnection } from './connection.js'
import { explained } from './failed.js'

/**
 * Runs a statement as TypeORM's query runner does, with the same result and errors, for an entity set that nobody listens to
 * and nobody logs: what it does for those costs more than the driver's own work.
 */
export async function runRaw(
  source: ConnectionSource,
  borrowed: MysqlConnection,
  text: string,
  parameters: unknown[] | undefined
): Promise<unknown> {
  const { ran } = source
  const from = ran ? performance.now() : 0
  let answer: unknown
  try {
    answer = await rowsOf(borrowed.driver, text, parameters)
  } catch (error) {
    ran?.(performance.now() - from, true, text)
    const failure = new QueryFailedError(text, parameters, error as Error)
    throw source.ended ?? explained(borrowed, failure)
  }
  ran?.(performance.now() - from, false, text)
  return answer
}

function rowsOf(client: Connection, text: string, parameters: unknown[] | undefined): Promise<unknown> {
  return new Promise((resolve, reject) => {
    client.query(text, parameters, (error, rows) => {
      if (error) reject(error)
      else resolve(rows)
    })
  })
}
