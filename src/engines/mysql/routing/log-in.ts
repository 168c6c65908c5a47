import type { RoutedWay } from '../../routing.js'
import type { MysqlConnection } from './connection.js'
import { identityError, SetUp } from './identity-check.js'
import { settingsFor } from './settings.js'

/**
 * Brings the connection to its tenant's database: `begin` starts the login, the settings and the proof of identity follow in
 * the driver's line. Rejects with what was refused first.
 */
export async function logIn(
  connection: MysqlConnection,
  way: RoutedWay,
  begin: (failed: (error: unknown) => void) => void
): Promise<void> {
  const { wire, driver, place } = connection
  const sql = settingsFor(way.databaseId, way.statementTimeoutMs)
  let first: unknown
  await inTime(way.connectTimeoutMs, async () => {
    const refused = await new Promise(resolve => {
      begin(error => {
        first ??= error
      })
      wire.addCommand(new SetUp(sql, resolve))
    })
    // The driver would keep it for good, and show it to whoever prints the connection.
    wire.config.password = undefined
    const error = first ?? refused
    if (!error) return
    throw (
      (await identityError(error, place, sql =>
        driver
          .promise()
          .query(sql)
          .then(([rows]) => rows as never)
      )) ?? error
    )
  })
}

async function inTime(milliseconds: number, act: () => Promise<void>): Promise<void> {
  let late: NodeJS.Timeout | undefined
  const timeout = new Promise<never>((_, reject) => {
    late = setTimeout(() => reject(Object.assign(new Error('connection timeout'), { code: 'ETIMEDOUT' })), milliseconds)
  })
  try {
    await Promise.race([act(), timeout])
  } finally {
    clearTimeout(late)
  }
}
