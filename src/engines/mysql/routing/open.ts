import { SaasctlError } from '../../../errors.js'
import type { RoutedWay } from '../../routing.js'
import { answerOf, type Place, translate } from '../errors.js'
import { MysqlConnection } from './connection.js'
import { dial } from './dial.js'
import type { SetUp } from './identity-check.js'
import { logIn } from './log-in.js'
import { together, wasTooHasty } from './together.js'
import type { Handshake } from './wire.js'

/** Opens a connection and reads the identity row. When it fails, the server has let the connection go before the error. */
export async function open(way: RoutedWay): Promise<MysqlConnection> {
  const connection = new MysqlConnection(dial(way), way)
  const { wire } = connection
  let hasty = false
  const handshake = wire._command as Handshake
  const sendCredentials = handshake.sendCredentials.bind(handshake)
  try {
    await logIn(connection, way, (setUp: SetUp) => {
      handshake.sendCredentials = () => {
        hasty = together(wire, handshake.handshake, way.address, setUp, () => sendCredentials(wire))
      }
    })
    return connection
  } catch (error) {
    await connection.close()
    if (hasty && wire._authPlugin) {
      wasTooHasty(way.address)
      return open(way)
    }
    throw refused(error, connection.place)
  }
}

/** Whose limit on connections was met: the account's own, or the server's. */
const fullOf: Readonly<Record<number, 'tenant' | 'server'>> = { 1203: 'tenant', 1226: 'tenant', 1040: 'server' }

export function refused(thrown: unknown, place: Place): SaasctlError {
  const error = translate(thrown, place)
  const full = fullOf[Number(answerOf(error)?.state)]
  return full ? new SaasctlError(error.code, error.message, { data: { full }, retryable: true }) : error
}
