import { type Connection, createConnection } from 'mysql2'
import type { RoutedWay } from '../../routing.js'
import { optionsOf } from './options.js'
import { checkHost } from './tls.js'
import { wireOf } from './wire.js'

/** The driver's connection, on its way to the server. Nothing of the login is sent before the server has proved who it is. */
export function dial(way: RoutedWay): Connection {
  const client = createConnection(optionsOf(way))
  const { host, tls } = way.address
  if (tls.mode === 'verify-full') checkHost(wireOf(client), host)
  return client
}
