import { SaasctlError } from '../../../errors.js'
import { type Place, translate } from '../errors.js'

/** Where a statement failed, for the errors that an application may have caught. */
export const failedAt = new WeakMap<Error, Place>()

/** The server's last words on a connection, which the driver passes on before it hears the end itself. */
const endings = new Set([
  1053, // it shuts down
  1317, // a KILL reached the statement first
  1927, // a KILL of the session
  4031 // idle for too long
])

/** Its own troubles: connections, memory, disk, files, damage, and a failover. */
const troubles = new Set([
  ...endings,
  1021,
  1023,
  1026,
  1030,
  1034,
  1035,
  1037,
  1038,
  1040,
  1041,
  1042,
  1043,
  1114,
  1129,
  1130,
  1152,
  1158,
  1159,
  1160,
  1161,
  1184,
  1203,
  1226,
  1290,
  1836
])

const numberOf = (error: unknown): number => Number((error as { errno?: unknown } | undefined)?.errno)

export const isEnding = (driverError: unknown): boolean => endings.has(numberOf(driverError))

/** An error of ours as it is, a server in trouble in our words, undefined for an answer to the application's own SQL. */
export function explain(error: unknown): SaasctlError | undefined {
  if (error instanceof SaasctlError) return error
  if (!(error instanceof Error)) return undefined
  const place = failedAt.get(error)
  const { driverError } = error as { driverError?: unknown }
  return place && troubles.has(numberOf(driverError)) ? translate(driverError, place) : undefined
}
