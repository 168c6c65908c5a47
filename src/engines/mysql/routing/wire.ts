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
  clientEncoding: string
  /** A plain socket until TLS begins. */
  stream: TLSSocket
  config: { password: string | undefined; ssl: SslOptions }
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

/** A statement as it goes over the wire: its length, the first number of an exchange, what it is, its text. */
export function statement(sql: string): Buffer {
  const text = Buffer.from(sql)
  const packet = Buffer.alloc(5 + text.length)
  packet.writeUIntLE(1 + text.length, 0, 3)
  packet.writeUInt8(QUERY, 4)
  text.copy(packet, 5)
  return packet
}

const QUERY = 3
