import type pg from 'pg'
import { QueryFailedError, QueryResult } from 'typeorm'
import type { ConnectionSource } from '../../routing.js'
import type { PostgresConnection } from './connection.js'
import { explained } from './failed.js'

/**
 * Runs a statement as TypeORM's query runner does, with the same results and errors, for an entity set that nobody listens
 * to and nobody logs: what it does for those costs a statement 20 µs.
 */
export async function runRaw(
  source: ConnectionSource,
  borrowed: PostgresConnection,
  text: string,
  parameters: unknown[] | undefined,
  structured: boolean
): Promise<unknown> {
  const { ran } = source
  const from = ran ? performance.now() : 0
  let answer: pg.QueryResult
  try {
    answer = await borrowed.driver.query(text, parameters)
  } catch (error) {
    ran?.(performance.now() - from, true, text)
    const failure = new QueryFailedError(text, parameters, error as Error)
    throw source.ended ?? explained(borrowed, failure)
  }
  ran?.(performance.now() - from, false, text)
  return structured ? structuredOf(answer) : rawOf(answer)
}

/** For an UPDATE or DELETE the number of rows too, as TypeORM has it. Of several statements, the driver gives a list. */
function rawOf({ command, rows, rowCount }: pg.QueryResult): unknown {
  return command === 'UPDATE' || command === 'DELETE' ? [rows, rowCount] : rows
}

function structuredOf(answer: pg.QueryResult): QueryResult {
  const result = new QueryResult()
  if (Object.hasOwn(answer, 'rows')) result.records = answer.rows
  if (Object.hasOwn(answer, 'rowCount')) result.affected = answer.rowCount ?? undefined
  result.raw = rawOf(answer)
  return result
}
