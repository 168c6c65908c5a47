import { readdir, readFile } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import type { Dump, DumpFacts, MakeDump, Played } from '../../src/engines/dump.js'
import { fence, inside, make, type Planned, type RunningEngine } from './real-engines.js'

/** A dump that was read to its end. */
export interface Dumped {
  bytes: Buffer
  facts: DumpFacts
  compressed: boolean
}

const path = process.env['PATH'] ?? ''

/** Begins a dump as the database's owner; an empty `path` uses no program of the machine. */
export function beginDump(
  running: RunningEngine,
  of: Planned,
  options: MakeDump = { path, signal: neverAborted() }
): Promise<Dump> {
  return running.engine.dump(running.access, of.names.database, of.as('owner'), options)
}

export async function dumpOf(running: RunningEngine, of: Planned, options?: Partial<MakeDump>): Promise<Dumped> {
  const dump = await beginDump(running, of, { path, signal: neverAborted(), ...options })
  const bytes = await buffer(dump.stream)
  return { bytes, facts: await dump.facts, compressed: dump.compressed }
}

/** Restores into a new database, as the control plane does. */
export async function restoreOf(
  running: RunningEngine,
  { bytes, facts }: Pick<Dumped, 'bytes' | 'facts'>,
  cut = bytes.length
): Promise<Planned> {
  const target = await make(running)
  await play(running, target, bytes.subarray(0, cut), facts.format)
  return target
}

export async function play(running: RunningEngine, into: Planned, bytes: Buffer, format: string): Promise<Played> {
  const session = await running.engine.enter(running.access, fence())
  try {
    // In pieces of a size that no boundary of the format has.
    const pieces = Array.from({ length: Math.ceil(bytes.length / 7777) }, (_, index) =>
      bytes.subarray(index * 7777, (index + 1) * 7777)
    )
    const stream = Readable.from(pieces, { objectMode: false })
    return await session.restore(into.names, into.as('owner'), stream, { format, path: '', signal: neverAborted() })
  } finally {
    await session.end()
  }
}

/** What a restored database is compared by. */
export function lookInto(running: RunningEngine, planned: Planned) {
  return inside(running, planned, async owned => ({
    rows: await owned.rows(),
    fingerprint: await owned.fingerprint(),
    migrations: (await owned.applied()).map(({ name }) => name)
  }))
}

export const neverAborted = (): AbortSignal => new AbortController().signal

/** The processes that this one has started, with their arguments: what every user of the machine may read. */
export async function children(): Promise<Array<{ pid: number; args: string }>> {
  const pids = (await readdir('/proc')).filter(name => /^\d+$/.test(name))
  const found = await Promise.all(
    pids.map(async pid => {
      const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '')
      if (Number(/^PPid:\s+(\d+)/m.exec(status)?.[1]) !== process.pid) return undefined
      return { pid: Number(pid), args: await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '') }
    })
  )
  return found.filter(child => child !== undefined)
}
