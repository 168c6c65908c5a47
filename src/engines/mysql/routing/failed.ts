import type { QueryFailedError } from 'typeorm'
import { translate } from '../errors.js'
import type { MysqlConnection } from './connection.js'
import { failedAt, isEnding } from './explain.js'

/** A failed statement's error as it is, or in our words when the connection or the server has ended with it. */
export function explained(borrowed: MysqlConnection, error: QueryFailedError): Error {
  const { driverError } = error
  failedAt.set(error, borrowed.place)
  if (borrowed.lost) return translate(borrowed.lostTo ?? driverError, borrowed.place)
  return isEnding(driverError) ? translate(driverError, borrowed.place) : error
}
