import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { canonical } from '../canonical.js'
import type { Catalog } from '../catalog/catalog.js'
import { type ClaimedEvent, type TrailEvent, trailOf } from '../catalog/trail.js'
import { SaasctlError } from '../errors.js'
import { systemReason } from '../system-reason.js'

/**
 * The trail as lines of canonical JSON, whole chains in the order of bytes, many lines at a time. The last line counts the
 * events, so that a file that was cut off shows. `verifyFile` reads it without any catalog.
 */
export async function* exportTrail(catalog: Catalog, chain?: string): AsyncIterable<string> {
  // The snapshot lives as long as somebody reads; so the reader must be the one that pulls.
  const pages: ClaimedEvent[][] = []
  let events = 0
  let wake = () => {}
  let taken = () => {}
  let over = false
  const reading = catalog
    .snapshot(async snapshot => {
      for await (const page of trailOf(snapshot, chain)) {
        pages.push(page)
        const isTaken = new Promise<void>(resolve => (taken = resolve))
        wake()
        await isTaken
        if (over) return
      }
    })
    .finally(() => {
      over = true
      wake()
    })
  reading.catch(() => {})
  try {
    for (;;) {
      if (pages.length === 0 && !over) await new Promise<void>(resolve => (wake = resolve))
      const page = pages.shift()
      if (!page) break
      events += page.length
      yield page.map(lineOf).join('')
      taken()
    }
    await reading
    yield `${canonical({ events, type: 'end' })}\n`
  } finally {
    over = true
    taken()
  }
}

function lineOf({ chain, seq, at, action, body, hash, salt, payload }: TrailEvent): string {
  const line = {
    chain,
    seq,
    at: new Date(at).toISOString(),
    action,
    body,
    hash,
    salt: salt?.toString('hex') ?? null,
    payload
  }
  return `${canonical({ ...line, type: 'event' })}\n`
}

/** Reads such a file, an event at a time. INVALID_INPUT, with the line, for what is none or is not whole. */
export async function* readTrail(path: string): AsyncIterable<TrailEvent> {
  let line = 0
  let events = 0
  let ended = false
  for await (const text of linesOf(path)) {
    line += 1
    const read = parse(text)
    if (!read || ended) throw refused(path, `is no trail that saasctl has exported: line ${line}`)
    if ('events' in read) {
      if (read.events !== events) throw refused(path, `has ${events} events and says ${read.events}`)
      ended = true
    } else {
      events += 1
      yield read
    }
  }
  if (!ended) throw refused(path, 'is cut off at its end')
}

async function* linesOf(path: string): AsyncGenerator<string> {
  try {
    yield* createInterface({ input: createReadStream(path), crlfDelay: Number.POSITIVE_INFINITY })
  } catch (error) {
    throw refused(path, `cannot be read: ${systemReason(error as NodeJS.ErrnoException)}`)
  }
}

function parse(text: string): TrailEvent | { events: number } | undefined {
  try {
    const line = JSON.parse(text) as Record<string, unknown>
    const { type, events, chain, seq, at, action, body, hash, salt, payload } = line
    if (type === 'end' && typeof events === 'number') return { events }
    const texts = [chain, at, action, body, hash].every(part => typeof part === 'string')
    if (type !== 'event' || !texts || typeof seq !== 'number') return undefined
    return {
      chain: String(chain),
      seq,
      at: Date.parse(String(at)),
      action: String(action),
      body: String(body),
      hash: String(hash),
      salt: typeof salt === 'string' ? Buffer.from(salt, 'hex') : null,
      payload: typeof payload === 'string' ? payload : null
    }
  } catch {
    return undefined
  }
}

function refused(path: string, what: string): SaasctlError {
  return new SaasctlError('INVALID_INPUT', `The file ${path} ${what}.`, {
    hint: 'Give the file that "saasctl audit export --out" wrote.'
  })
}
