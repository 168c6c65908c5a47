import { authorityFile } from '../authority-file.js'
import { startTool } from '../child.js'
import type { Dump, DumpFacts, DumpOptions } from '../dump.js'
import type { Credentials, ServerAddress } from '../engine.js'
import { toolFailed, toolStream } from '../tool-stream.js'
import { scrub } from './errors.js'
import { SCHEMA } from './furnish.js'
import { Moment } from './moment.js'
import { shell } from './shell.js'
import { findDumpTool, missing } from './tools.js'

/** pg_dump's custom format, which says its own version. */
export const CUSTOM = 'pg-custom'

/**
 * Dumps a database with pg_dump as its owner, read-only, in a snapshot that a second session counts in at the same time.
 */
export async function dump(
  server: ServerAddress,
  database: string,
  owner: Credentials,
  { signal, path }: DumpOptions
): Promise<Dump> {
  signal.throwIfAborted()
  const moment = await Moment.hold(server, database, owner)
  try {
    const tool = await findDumpTool(path, moment.session.major)
    if (!tool)
      throw missing(moment.session.version, `No pg_dump of ${moment.session.major} or newer is on this machine.`)
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
