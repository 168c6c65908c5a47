import { databaseIdOf } from '../../names.js'
import type { Dump, DumpFacts, MakeDump } from '../dump.js'
import type { Credentials, DatabaseNames, ServerAddress } from '../engine.js'
import { toolFailed, toolStream } from '../tool-stream.js'
import { Following } from './archive/following.js'
import { dumpKnown } from './dump-known.js'
import { startDump } from './dump-program.js'
import { scrub } from './errors.js'
import { CUSTOM } from './format.js'
import type { KnownSchemas } from './known-schemas.js'
import { Moment } from './moment.js'
import { namesOf } from './names.js'
import { ownedByApp } from './owned-by-app.js'
import { findDumpTools, fittingTool, installHint, missing } from './tools.js'

export interface Dumping {
  database: string
  owner: Credentials
  /** Lets the owner have what the app owns. */
  lend: (names: DatabaseNames) => Promise<void>
  schemas: KnownSchemas
}

/**
 * Dumps a database with pg_dump as its owner, read-only, in a snapshot that a second session counts in at the same time; by
 * pg_dump alone where the schema is known.
 */
export async function dump(server: ServerAddress, dumping: Dumping, options: MakeDump): Promise<Dump> {
  const { database, owner, schemas } = dumping
  const { signal, fingerprint } = options
  signal.throwIfAborted()
  const tool = fingerprint ? schemas.toolFor({ ...server, fingerprint }) : undefined
  const known = tool && (await dumpKnown({ server, database, owner }, { schemas, tool, signal }))
  return known ?? (await dumpInMoment(server, dumping, options))
}

async function dumpInMoment(server: ServerAddress, dumping: Dumping, options: MakeDump): Promise<Dump> {
  const { database, owner, lend, schemas } = dumping
  const { signal, path, fingerprint } = options
  signal.throwIfAborted()
  const [moment, tools] = await Promise.all([Moment.hold(server, database, owner), findDumpTools(path)])
  try {
    if (await ownedByApp(moment.session)) await lend(namesOf(databaseIdOf(database) ?? ''))
    const tool = fittingTool(tools, moment.session.major)
    if (!tool) return await withoutTool(server, database, owner, { moment, signal })
    // Half the time of the default and a few percent more bytes.
    const child = await startDump({ server, database, owner }, tool, ['--compress=1', `--snapshot=${moment.snapshot}`])
    const name = `pg_dump ${tool.version}`
    const following = new Following({ rows: false })
    const facts = Promise.all([moment.facts(), child.ended]).then(([found, ended]): DumpFacts => {
      if (!ended.ok) throw toolFailed(name, database, scrub(ended.said))
      const { tables, sound, ...facts } = found
      following.end()
      const { head } = following
      if (sound && fingerprint && head) {
        schemas.learn(head, { fingerprint: facts.fingerprint, tables }, { ...server, fingerprint }, tool)
      }
      return { format: CUSTOM, tool: name, serverVersion: moment.session.version, ...facts }
    })
    const over = () => moment.release()
    const look = (chunk: Buffer) => following.push(chunk)
    return toolStream({ format: CUSTOM, compressed: true, database, child, facts, signal, look, over })
  } catch (error) {
    moment.release()
    throw error
  }
}

/** Any server that the program in WASM knows needs no other; a newer one needs its own. */
async function withoutTool(
  server: ServerAddress,
  database: string,
  owner: Credentials,
  { moment, signal }: { moment: Moment; signal: AbortSignal }
): Promise<Dump> {
  const { major } = moment.session
  const { NEWEST_MAJOR } = await import('./portable/schema.js')
  if (major > NEWEST_MAJOR) throw missing(major, `No pg_dump of ${major} or newer is on this machine.`)
  const { portableDump } = await import('./portable/dump.js')
  return portableDump(server, database, owner, { moment, signal, install: installHint(major) })
}
