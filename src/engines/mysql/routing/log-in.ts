import type { RoutedWay } from '../../routing.js'
import type { MysqlConnection } from './connection.js'
import { identityError, SetUp } from './identity-check.js'
import { settingsFor } from './settings.js'

/**
 * Brings the connection to its tenant's database: `begin` starts the login, and may send the set-up with it, which comes next
 * in the driver's line in any case. Rejects with what was refused first.
 */
export async function logIn(
  connection: MysqlConnection,
  way: RoutedWay,
  begin: (setUp: SetUp, failed: (error: unknown) => void) => void
): Promise<void> {
  const { wire, driver, place } = connection
  const ask = (sql: string) =>
    driver
      .promise()
      .query(sql)
      .then(([rows]) => rows as never)
  const enter = async () => {
    let first: unknown
    let answered = false
    const refused = await new Promise(resolve => {
      const setUp = new SetUp(settingsFor(way), error => {
        ;({ answered } = setUp)
        resolve(error)
      })
      begin(setUp, error => {
        first ??= error
      })
      wire.addCommand(setUp)
    })
    // The driver would keep it for good, and show it to whoever prints the connection.
    wire.config.password = undefined
    if (first) throw first
    if (refused) throw (answered && (await identityError(refused, place, ask))) || refused
  }
  await inTime(way.connectTimeoutMs, enter())
}

async function inTime(milliseconds: number, act: Promise<void>): Promise<void> {
  let late: NodeJS.Timeout | undefined
  const timeout = new Promise<never>((_, reject) => {
    late = setTimeout(() => reject(Object.assign(new Error('connection timeout'), { code: 'ETIMEDOUT' })), milliseconds)
  })
  try {
    await Promise.race([act, timeout])
  } finally {
    clearTimeout(late)
  }
}
