import { connect as connectSocket, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { ServerAddress } from '../../engine.js'
import { tlsOf } from '../connect.js'

const CANCEL = 80877102
const WANTS_TLS = 80877103

/**
 * Asks the server to stop what a session runs, on a connection of its own as the protocol wants it, under TLS where the
 * session is. Best effort: a server that does not answer is left to the caller's own time limit.
 */
export function cancel(address: ServerAddress, session: { processId: number; secretKey: number }): void {
  const { host, port } = address
  const socket = host.startsWith('/') ? connectSocket(`${host}/.s.PGSQL.${port}`) : connectSocket(port, host)
  const tls = tlsOf(address)
  quiet(socket)
  socket.once('connect', () => {
    if (!tls) return socket.end(message(CANCEL, session.processId, session.secretKey))
    socket.write(message(WANTS_TLS))
    socket.once('data', answer => {
      if (answer.toString() !== 'S') return socket.destroy()
      const secure = connectTls({ socket, host, ...tls })
      quiet(secure)
      secure.once('secureConnect', () => secure.end(message(CANCEL, session.processId, session.secretKey)))
    })
  })
}

function message(...values: number[]): Buffer {
  const buffer = Buffer.alloc(4 + 4 * values.length)
  for (const [index, value] of [buffer.length, ...values].entries()) buffer.writeInt32BE(value | 0, 4 * index)
  return buffer
}

function quiet(socket: Socket): void {
  socket.on('error', () => socket.destroy())
  socket.setTimeout(2_000, () => socket.destroy())
  socket.unref()
}
