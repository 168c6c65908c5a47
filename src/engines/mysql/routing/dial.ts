import mysql, { type Connection, type ConnectionOptions } from 'mysql2'
import QuickLRU from 'quick-lru'
import type { RoutedWay } from '../../routing.js'
import { optionsOf, preparedOf } from './options.js'
import { checkHost, sslFor } from './tls.js'
import { wireOf } from './wire.js'

/** What the driver's `createConnection` is made of, and its types leave out. */
const { Connection: DriverConnection, ConnectionConfig } = mysql as unknown as {
  Connection: new (options: { config: object }) => Connection
  ConnectionConfig: new (options: ConnectionOptions) => { connectAttributes: object; maxPreparedStatements: number }
}
type Config = InstanceType<typeof ConnectionConfig>

/** The driver's own form of the options, by server: to make it costs as much as all else that we do for a connection. */
const models = new QuickLRU<string, { ssl: unknown; config: Config }>({ maxSize: 1_000 })

/** The driver's connection, on its way to the server. Nothing of the login is sent before the server has proved who it is. */
export function dial(way: RoutedWay): Connection {
  const client = new DriverConnection({ config: configOf(way) })
  const { host, tls } = way.address
  if (tls.mode === 'verify-full') checkHost(wireOf(client), host)
  return client
}

function configOf(way: RoutedWay): Config {
  const { host, port, tls } = way.address
  const name = `${host}:${port}:${tls.mode}`
  const ssl = sslFor(way.address)
  let model = models.get(name)
  if (!model || model.ssl !== ssl) {
    model = { ssl, config: new ConnectionConfig({ ...optionsOf(way), password: '' }) }
    models.set(name, model)
  }
  const { connectAttributes } = model.config
  return Object.assign(Object.create(ConnectionConfig.prototype), model.config, {
    user: way.as.login,
    password: way.as.password.reveal(),
    database: way.database,
    connectAttributes: { ...connectAttributes, program_name: way.applicationName },
    maxPreparedStatements: preparedOf(way)
  })
}
