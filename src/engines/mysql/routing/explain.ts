import { SaasctlError } from '../../../errors.js'
import { type Place, translate } from '../errors.js'

/** Where a statement failed, for the errors that an application may have caught. */
export const failedAt = new WeakMap<Error, Place>()

/** The server's last words on a connection, which the driver passes on before it hears the end: it stops, or a KILL. */
const endings = new Set([1053, 1927, 3169, 4031])

/** Its own troubles: connections, memory, disk, files, damage. */
const troubles = new Set([
  ...endings,
  ...[1021, 1023, 1026, 1030, 1034, 1035, 1037, 1038, 1040, 1041, 1114, 1152, 1158, 1159, 1160, 1161, 1184, 1203, 1226],
  1836
])

/** Also what it says to who wants a file: by its words, then. */
const OPTION_PREVENTS = 1290

export function isEnding(driverError: unknown): boolean {
  return endings.has(numberOf(driverError))
}

/** An error of ours as it is, a server in trouble in our words, undefined for an answer to the application's own SQL. */
export function explain(error: unknown): SaasctlError | undefined {
  if (error instanceof SaasctlError) return error
  if (!(error instanceof Error)) return undefined
  const place = failedAt.get(error)
  const { driverError } = error as { driverError?: unknown }
  return place && isTrouble(driverError) ? translate(driverError, place) : undefined
}

function isTrouble(driverError: unknown): boolean {
  const number = numberOf(driverError)
  return troubles.has(number) || (number === OPTION_PREVENTS && /read.only/i.test(String(driverError)))
}

function numberOf(error: unknown): number {
  return Number((error as { errno?: unknown } | undefined)?.errno)
}
