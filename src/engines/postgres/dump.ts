import { databaseIdOf } from '../../names.js'
import { authorityFile } from '../authority-file.js'
import { startTool } from '../child.js'
import type { Dump, DumpFacts, DumpOptions } from '../dump.js'
import type { Credentials, DatabaseNames, ServerAddress } from '../engine.js'
import { toolFailed, toolStream } from '../tool-stream.js'
import { scrub } from './errors.js'
import { CUSTOM } from './format.js'
import { SCHEMA } from './furnish.js'
import { Moment } from './moment.js'
import { namesOf } from './names.js'
import { ownedByApp } from './owned-by-app.js'
import { shell } from './shell.js'
import { findDumpTools, fittingTool, installHint, missing } from './tools.js'

export interface Dumping {
  database: string
  owner: Credentials
  /** Lets the owner have what the app owns. */
  lend: (names: DatabaseNames) => Promise<void>
}

/**
 * Dumps a database with pg_dump as its owner, read-only, in a snapshot that a second session counts in at the same time.
 */
export async function dump(
  server: ServerAddress,
  { database, owner, lend }: Dumping,
  { signal, path }: DumpOptions
): Promise<Dump> {
  signal.throwIfAborted()
  const [moment, tools] = await Promise.all([Moment.hold(server, database, owner), findDumpTools(path)])
  try {
    if (await ownedByApp(moment.session)) await lend(namesOf(databaseIdOf(database) ?? ''))
    const tool = fittingTool(tools, moment.session.major)
    if (!tool) return await withoutTool(server, database, owner, { moment, signal })
    const { env, remove } = await environmentOf(server, database, owner)
    const child = startTool(tool.path, argumentsOf(moment.snapshot), env)
    const name = `pg_dump ${tool.version}`
    const facts = Promise.all([moment.facts(), child.ended]).then(([facts, ended]): DumpFacts => {
      if (!ended.ok) throw toolFailed(name, database, scrub(ended.said))
      return { format: CUSTOM, tool: name, serverVersion: moment.session.version, ...facts }
    })
    const over = () => {
      moment.release()
      void child.ended.then(remove)
    }
    return toolStream({ format: CUSTOM, database, child, facts, signal, over })
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

const argumentsOf = (snapshot: string): string[] => [
  '--format=custom',
  // Half the time of the default and a few percent more bytes.
  '--compress=1',
  '--no-password',
  '--no-tablespaces',
  '--no-security-labels',
  '--no-subscriptions',
  // The ledger of migrations beside it goes along.
  `--exclude-table=${SCHEMA}.identity`,
  `--snapshot=${snapshot}`
]

/** libpq's own variables, for arguments are for every user of the machine to read. The authority's file is removed at the end. */
export async function environmentOf(server: ServerAddress, database: string, owner: Credentials) {
  const { env, files } = shell(server, database, owner, { readOnly: true })
  const { path, remove } = await authorityFile(files?.['PGSSLROOTCERT'])
  const options = `${env['PGOPTIONS']} -c jit=off`
  return { env: { ...env, PGAPPNAME, PGOPTIONS: options, ...(path !== undefined && { PGSSLROOTCERT: path }) }, remove }
}

const PGAPPNAME = 'saasctl/dump'
