import type { QueryFailedError } from 'typeorm'
import { SaasctlError } from '../../../errors.js'
import { type Place, translate } from '../errors.js'
import type { PostgresConnection } from './connection.js'
import { failedAt } from './explain.js'
import { isStale } from './prepared.js'

/** A failed statement's error as it is, or in our words when the connection or the server has ended with it. */
export function explained(borrowed: PostgresConnection, error: QueryFailedError): Error {
  const { driverError } = error
  failedAt.set(error, borrowed.place)
  if (isStale(driverError)) return outdated(borrowed.place)
  if (borrowed.lost) return translate(borrowed.lostTo ?? driverError, borrowed.place)
  return endings.test(String((driverError as { code?: unknown }).code)) ? translate(driverError, borrowed.place) : error
}

const outdated = ({ database }: Place) =>
  new SaasctlError('SERVER_BUSY', `The schema of database "${database}" changed in the middle of a transaction.`, {
    hint: 'It was rolled back; the same again takes the new schema.',
    retryable: true
  })

/**
 * The server's last words on a connection; the driver hears the end itself only after it has passed them on. Not 08P01: a
 * statement that was given more parameters than it has.
 */
const endings = /^(08(?!P01)|57P|25P03)/
