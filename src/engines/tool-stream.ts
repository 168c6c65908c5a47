import { Transform, type TransformCallback } from 'node:stream'
import { SaasctlError } from '../errors.js'
import type { Child } from './child.js'
import type { Dump, DumpFacts } from './dump.js'

export interface ToolStream {
  format: string
  compressed: boolean
  /** What is dumped, for messages. */
  database: string
  child: Child
  /** What the dump turned out to be, once the program has written everything. Its failure is the dump's. */
  facts: Promise<DumpFacts>
  signal: AbortSignal
  /** Looks at the program's bytes; it has seen them all when the program has ended. */
  look?: (chunk: Buffer) => void
  /** Comes before the program's next byte. */
  head?: string | Buffer
  /** Called once, when it is over, however it ended. */
  over?: () => void
}

/** What a program writes, as a stream that ends only after everything went well, and with which the program ends. */
export function toolStream({ format, compressed, database, child, facts, signal, look, head, over }: ToolStream): Dump {
  const stream = new Transform({
    transform: (chunk: Buffer, _, done: TransformCallback) => done(null, chunk),
    flush: (done: TransformCallback) => {
      facts.then(
        () => done(),
        (error: Error) => done(error)
      )
    }
  })
  facts.catch((error: Error) => stream.destroy(error))
  const cancelled = (how: string) => new SaasctlError('CANCELLED', `The dump of database "${database}" was ${how}.`)
  const abort = () => stream.destroy(cancelled('cancelled'))
  signal.addEventListener('abort', abort, { once: true })
  const whole = new Promise<DumpFacts>((resolve, reject) => {
    stream.on('end', () => resolve(facts))
    stream.on('error', reject)
    stream.on('close', () => {
      signal.removeEventListener('abort', abort)
      child.kill()
      over?.()
      reject(cancelled('given up'))
    })
  })
  whole.catch(() => undefined)
  if (head !== undefined) stream.write(head)
  child.output.on('error', error => stream.destroy(error))
  // Where the bytes come in, for the program has ended when the last of them may still wait to be read.
  if (look) child.output.on('data', look)
  child.output.pipe(stream)
  // It may have been cancelled while the program was found and started.
  if (signal.aborted) abort()
  return { format, compressed, stream, facts: whole }
}

/** The program's failure as an error of ours, its words scrubbed by the engine. */
export function toolFailed(tool: string, database: string, said: string): SaasctlError {
  return new SaasctlError('SERVER_FAILED', `${tool} of database "${database}" failed: ${said}.`, {
    hint: 'Nothing was kept of it; look at what it says, and try again.',
    retryable: PASSING.test(said)
  })
}

/** The server went away, or somebody ended the session or the program: another try may find things better. */
const PASSING =
  /connection to server|closed the connection|terminating connection|could not send|signal SIG|Lost connection|gone away|Can't connect/
