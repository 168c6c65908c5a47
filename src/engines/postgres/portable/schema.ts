import { MessageChannel, receiveMessageOnPort, Worker } from 'node:worker_threads'
import { SaasctlError } from '../../../errors.js'
import type { Credentials, ServerAddress } from '../../engine.js'
import { scrub } from '../errors.js'
import { rawSocket } from './raw-socket.js'

/** The server's newest major that the program in WASM knows. */
export const NEWEST_MAJOR = 18

/**
 * The schema of a database as pg_dump's script, by the rules that are its arguments, made by a pg_dump compiled to WASM: it runs in a thread of its own, and its
 * protocol bytes go over a socket of ours.
 */
export async function dumpSchema(
  server: ServerAddress,
  database: string,
  owner: Credentials,
  { rules, snapshot, signal }: { rules: readonly string[]; snapshot: string | null; signal: AbortSignal }
): Promise<string> {
  const socket = await rawSocket(server)
  const { port1: ours, port2: theirs } = new MessageChannel()
  const bell = new Int32Array(new SharedArrayBuffer(4))
  const ring = (bytes: Uint8Array | null) => {
    ours.postMessage(bytes)
    Atomics.add(bell, 0, 1)
    Atomics.notify(bell, 0)
  }
  const worker = new Worker(new URL('./schema-worker.js', import.meta.url), {
    workerData: { port: theirs, bell, args: argumentsOf(database, owner, rules, snapshot) },
    transferList: [theirs],
    env: {},
    stdout: true,
    stderr: true
  })
  const stop = () => void worker.terminate()
  signal.addEventListener('abort', stop, { once: true })
  try {
    return await new Promise<string>((resolve, reject) => {
      const fail = (said: string) => reject(failed(database, said))
      const heard = (message: Uint8Array | { script: string }) => {
        if (message instanceof Uint8Array) socket.write(message)
        else resolve(message.script)
      }
      ours.on('message', heard)
      socket.on('data', chunk => ring(Uint8Array.from(chunk)))
      socket.on('error', error => fail(error.message))
      socket.on('close', () => ring(null))
      worker.on('error', error => fail(error.message))
      worker.on('exit', code => {
        // Its end and its last words come by different ways, and the end may be first.
        const last = receiveMessageOnPort(ours) as { message: Uint8Array | { script: string } } | undefined
        if (last) heard(last.message)
        fail(`it ended with ${code} and without a word`)
      })
    })
  } finally {
    signal.removeEventListener('abort', stop)
    ours.close()
    socket.destroy()
    await worker.terminate()
  }
}

/** Arguments of a function in this process: no other user of the machine sees them. */
function argumentsOf(
  database: string,
  { login, password }: Credentials,
  rules: readonly string[],
  snapshot: string | null
): string[] {
  const settings = {
    user: login,
    password: password.reveal(),
    dbname: database,
    sslmode: 'disable',
    gssencmode: 'disable',
    application_name: 'saasctl/dump',
    options: '-c default_transaction_read_only=on -c jit=off'
  }
  const quoted = Object.entries(settings).map(([name, value]) => `${name}='${value.replace(/['\\]/g, '\\$&')}'`)
  return [
    '--schema-only',
    ...rules,
    ...(snapshot === null ? [] : [`--snapshot=${snapshot}`]),
    `--dbname=${quoted.join(' ')}`
  ]
}

function failed(database: string, said: string): SaasctlError {
  return new SaasctlError('SERVER_FAILED', `The dump of the schema of database "${database}" failed: ${scrub(said)}.`, {
    hint: 'Nothing was kept of it; look at what it says, and try again.',
    retryable: /closed the connection|ECONNRESET|EPIPE|without a word/.test(said)
  })
}
