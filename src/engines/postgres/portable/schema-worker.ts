import { type MessagePort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import { pgDump } from '@electric-sql/pglite-tools/pg_dump'
import { ClientTurns, ServerTurns } from './turns.js'

export interface WorkerInput {
  /** Bytes to and from the server; `null` from it is its end. */
  port: MessagePort
  /** Counted up with everything that is put on the port, so that a thread that waits hears of it. */
  bell: Int32Array
  args: string[]
}

const { port, bell, args } = workerData as WorkerInput

/**
 * pg_dump in WASM knows no sockets: it writes what it would send and reads what is there. So each write waits, the whole
 * thread, until the server has said all that it has to say to it.
 */
class Wire {
  readonly #client = new ClientTurns()
  readonly #server = new ServerTurns()

  execProtocolRawStream(bytes: Uint8Array, { onRawData }: { onRawData: (bytes: Uint8Array) => void }): void {
    // A view of the program's memory, which it uses again.
    const sent = Uint8Array.from(bytes)
    port.postMessage(sent)
    for (let turns = this.#client.push(sent); turns > 0; ) {
      const received = receive()
      onRawData(received)
      turns -= this.#server.push(received)
    }
  }

  /** What its wrapper asks before and after for a database of its own kind. */
  async query(): Promise<{ rows: Array<{ search_path: string }> }> {
    return { rows: [{ search_path: '' }] }
  }

  async exec(): Promise<void> {}
}

function receive(): Uint8Array {
  for (;;) {
    const seen = Atomics.load(bell, 0)
    const message = receiveMessageOnPort(port) as { message: Uint8Array | null } | undefined
    if (message?.message === null) throw new Error('the server closed the connection')
    if (message) return message.message
    Atomics.wait(bell, 0, seen)
  }
}

type Options = Parameters<typeof pgDump>[0]
const script = await pgDump({ pg: new Wire() as unknown as Options['pg'], args })
port.postMessage({ script: await script.text() })
