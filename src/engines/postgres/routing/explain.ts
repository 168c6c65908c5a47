import { SaasctlError } from '../../../errors.js'
import { type Place, translate } from '../errors.js'

/** Where a statement failed, for the errors that an application may have caught. */
export const failedAt = new WeakMap<Error, Place>()

/**
 * The server's own troubles by class of SQLSTATE: connection, but for a statement with the wrong number of parameters;
 * resources, shutdown, system, damage; and a failover.
 */
const troubles = /^(08(?!P01)|53|57P|58|XX|25006)/

/** An error of ours as it is, a server in trouble in our words, undefined for an answer to the application's own SQL. */
export function explain(error: unknown): SaasctlError | undefined {
  if (error instanceof SaasctlError) return error
  if (!(error instanceof Error)) return undefined
  const place = failedAt.get(error)
  const { driverError } = error as { driverError?: { code?: unknown } }
  return place && troubles.test(String(driverError?.code)) ? translate(driverError, place) : undefined
}
