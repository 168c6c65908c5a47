import type { Child } from '../child.js'
import type { Dump, DumpFacts } from '../dump.js'
import { toolFailed, toolStream } from '../tool-stream.js'
import type { Tool } from '../tools.js'
import { Following } from './archive/following.js'
import type { Head } from './archive/head.js'
import { type Dumped, startDump } from './dump-program.js'
import { scrub } from './errors.js'
import { CUSTOM } from './format.js'
import { type KnownSchema, type KnownSchemas, ledgerEntry } from './known-schemas.js'
import { migrationsIn } from './ledger-rows.js'

export interface TryKnown {
  schemas: KnownSchemas
  tool: Tool
  signal: AbortSignal
}

/**
 * A dump by pg_dump alone, whose own snapshot is the only one: what it writes is counted as it passes, and its table of
 * contents tells which schema it is. That saves connecting, counting and the fingerprint, 24 ms of the server's CPU beside
 * pg_dump's 34. Undefined where the table of contents is none that was seen before, or where it does not get that far; then
 * nothing has happened.
 */
export async function dumpKnown(dumped: Dumped, { schemas, tool, signal }: TryKnown): Promise<Dump | undefined> {
  const child = await startDump(dumped, tool, ['--compress=0'])
  const following = new Following({ rows: true, keep: ledgerEntry })
  const begun = await beginning(child, following, signal)
  const { head } = following
  const known = head && schemas.find(head)
  if (!head || !known) {
    child.kill()
    // What nobody reads would keep the program from being over.
    child.output.destroy()
    return undefined
  }
  const { database } = dumped
  const name = `pg_dump ${tool.version}`
  const facts = child.ended.then((ended): DumpFacts => {
    if (!ended.ok) throw toolFailed(name, database, scrub(ended.said))
    const migrations = migrationsIn(following.keptRows())
    const { fingerprint } = known
    return {
      format: CUSTOM,
      tool: name,
      serverVersion: versionOf(head),
      rows: rowsIn(following, head, known),
      fingerprint,
      migrations
    }
  })
  const look = (chunk: Buffer) => following.push(chunk)
  return toolStream({ format: CUSTOM, compressed: false, database, child, facts, signal, head: begun, look })
}

/** Reads until the table of contents is whole, or the program is at its end. */
function beginning({ output, kill }: Child, following: Following, signal: AbortSignal): Promise<Buffer> {
  const parts: Buffer[] = []
  return new Promise(resolve => {
    const take = (chunk: Buffer) => {
      parts.push(chunk)
      following.push(chunk)
      if (following.head || following.lost) done()
    }
    const end = () => {
      following.end()
      done()
    }
    const done = () => {
      output.pause().off('data', take).off('end', end).off('error', done)
      signal.removeEventListener('abort', kill)
      resolve(Buffer.concat(parts))
    }
    signal.addEventListener('abort', kill, { once: true })
    if (signal.aborted) kill()
    output.on('data', take).on('end', end).on('error', done)
  })
}

/** `15.18`, of `15.18 (Debian 15.18-0+deb12u1)`. */
const versionOf = ({ serverVersion }: Head): string => serverVersion.split(' ')[0] ?? ''

function rowsIn(following: Following, { entries }: Head, { tables }: KnownSchema): Record<string, number> {
  const data = entries.filter(({ kind }) => kind === 'TABLE DATA')
  const ids = new Map(data.map(({ schema, tag, id }) => [JSON.stringify([schema, tag]), id]))
  const counted = tables.map(({ space, table, name }) => [
    name,
    following.rowsOf(ids.get(JSON.stringify([space, table])) ?? 0)
  ])
  return Object.fromEntries(counted)
}
