import type { TLSSocket } from 'node:tls'
import type { Connection, SslOptions } from 'mysql2'

/** What of the driver is used beyond its types. A change of any of it fails the tests of this folder. */
export interface Wire {
  /** The statement that runs, and those behind it. */
  _command: Command | undefined
  _commands: { length: number }
  _fatalError: Error | null
  sequenceId: number
  /** There once the server has asked for another proof of the password than it was given at first. */
  _authPlugin?: unknown
  /** The greeting, once the first login is through. */
  _handshakePacket: Greeting
  /** What is prepared on the server: nothing of it is left when the user changes. */
  _statements: { size: number; clear(): void }
  _isMariaDB: boolean
  clientEncoding: string
  /** A plain socket until TLS begins. */
  stream: TLSSocket
  config: { user: string; password: string | undefined; database: string; charsetNumber: number; ssl: SslOptions }
  write(buffer: Buffer): void
  addCommand(command: Command): void
  handlePacket(packet?: Packet): void
  startTLS(secured: (error?: Error) => void): void
}

/** One exchange with the server. `execute` gets no packet when it is its turn to send, and gives true when it is done. */
export interface Command {
  execute(packet: Packet | undefined, wire: Wire): boolean
  onResult?(error: unknown): void
}

/** The first thing that a server says. */
export interface Greeting {
  authPluginName: string
  authPluginData1: Buffer
  authPluginData2: Buffer
}

/** The command that a connection begins with. */
export interface Handshake extends Command {
  handshake: Greeting | null
  sendCredentials(wire: Wire): void
}

export interface Packet {
  buffer: Buffer
  start: number
  end: number
  isError(): boolean
  asError(encoding: string): Error & { errno: number }
}

export const wireOf = (client: Connection): Wire => client as unknown as Wire

/** No statement runs, and none waits. */
export const isReady = ({ _command, _commands }: Wire): boolean => !_command && _commands.length === 0

/** A statement as it goes over the wire. */
export const statement = (sql: string): Buffer => message(Buffer.from(`${QUERY}${sql}`))

/** As it goes over the wire: its length, its place in the exchange, itself. */
export function message(body: Buffer, place = 0): Buffer {
  const packet = Buffer.allocUnsafe(4 + body.length)
  packet.writeUIntLE(body.length, 0, 3)
  packet.writeUInt8(place, 3)
  packet.set(body, 4)
  return packet
}

const QUERY = '\x03'
