import { Readable } from 'node:stream'

/** The stream, with what it fails with said in our words. Ending one early ends the other. */
export function translated(source: Readable, translate: (error: unknown) => unknown): Readable {
  const stream = Readable.from(
    (async function* () {
      try {
        yield* source
      } catch (error) {
        throw translate(error)
      }
    })(),
    { objectMode: false }
  )
  // A generator that nobody has begun to read ends without a word to what it would have read.
  return stream.once('close', () => source.destroy())
}

export interface Count {
  bytes: number
  /** What the source failed with: who reads it may put an error of its own in its place. */
  failure?: unknown
}

/** The stream, with its bytes counted as they pass. */
export function counting(source: Readable, count: Count): Readable {
  source.once('error', error => {
    // A reader that stops early ends it with an AbortError of Node's own: that is no failure of the source.
    if (error.name !== 'AbortError') count.failure = error
  })
  return Readable.from(
    (async function* () {
      for await (const part of source) {
        count.bytes += part.length
        yield part
      }
    })(),
    { objectMode: false }
  )
}

/** Whoever reads the stream hears of an abort as the stream's failure, wherever it waits. Gives what ends the listening. */
export function destroyOnAbort(stream: Readable, signal: AbortSignal | undefined): () => void {
  const abort = () => {
    const { reason } = signal ?? {}
    stream.destroy(reason instanceof Error ? reason : new Error('It was aborted.'))
  }
  if (signal?.aborted) abort()
  signal?.addEventListener('abort', abort, { once: true })
  return () => signal?.removeEventListener('abort', abort)
}

/**
 * The work, given up so many milliseconds after an abort that it has not heard: a connection that says nothing more must not
 * keep whoever wants to stop.
 */
export function endedAfterAbort<T>(work: Promise<T>, signal: AbortSignal | undefined, graceMs: number): Promise<T> {
  if (!signal) return work
  return new Promise((resolve, reject) => {
    let late: NodeJS.Timeout | undefined
    const abort = () => {
      late = setTimeout(() => reject(new Error('It did not end when it was aborted.')), graceMs)
    }
    if (signal.aborted) abort()
    signal.addEventListener('abort', abort, { once: true })
    work.then(resolve, reject).finally(() => {
      clearTimeout(late)
      signal.removeEventListener('abort', abort)
    })
  })
}
