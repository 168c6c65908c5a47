import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { SaasctlError } from '../../../errors.js'
import type { ServerAddress } from '../../engine.js'
import { tlsOf } from '../connect.js'

/** What asks a PostgreSQL whether it speaks TLS. */
const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47])

/** A connection to the server on which nothing was said yet, encrypted as every other way to it. */
export async function rawSocket(server: ServerAddress): Promise<Socket> {
  const { host, port } = server
  const socket = host.startsWith('/') ? connect(`${host}/.s.PGSQL.${port}`) : connect(port, host)
  await once(socket, 'connect')
  const tls = tlsOf(server)
  if (!tls) return socket
  socket.write(SSL_REQUEST)
  const [answer] = (await once(socket, 'data')) as [Buffer]
  if (answer.toString('latin1') !== 'S') {
    socket.destroy()
    throw new SaasctlError('SERVER_DENIED', `The server ${host}:${port} does not speak TLS.`)
  }
  const secure = connectTls({ socket, ...tls })
  await once(secure, 'secureConnect')
  return secure
}
