/**
 * Whether a database said it: TypeORM's QueryFailedError and its kind, or a driver's own. Told by what it carries, because the
 * class is another one in every copy of TypeORM and of a driver. Its message may hold a value of the row that it met.
 */
export const isFromDatabase = (error: object): boolean =>
  'driverError' in error || 'sqlState' in error || ('severity' in error && 'code' in error)

/** The SQLSTATE, or the driver's own code; undefined when there is none. */
export function sqlStateOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null) return undefined
  const { driverError = error } = error as { driverError?: unknown }
  const { sqlState, code } = (driverError ?? {}) as { sqlState?: unknown; code?: unknown }
  return [sqlState, code].find(state => typeof state === 'string')
}
