import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Transform } from 'node:stream'
import { SaasctlError } from '../../errors.js'
import { type Child, startTool } from '../child.js'
import type { Dump, DumpFacts, DumpOptions } from '../dump.js'
import type { Credentials, ServerAddress } from '../engine.js'
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
    child.ended.then(remove)
    const about = { format: CUSTOM, tool: `pg_dump ${tool.version}`, serverVersion: moment.session.version }
    return streamOf(child, moment, about, database, signal)
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
  const settings = { ...env, PGAPPNAME: 'saasctl/dump', PGOPTIONS: `${env['PGOPTIONS']} -c jit=off` }
  const authority = files?.['PGSSLROOTCERT']
  if (authority === undefined) return { env: settings, remove: async () => undefined }
  const folder = await mkdtemp(join(tmpdir(), 'saasctl-'))
  await writeFile(join(folder, 'ca.pem'), authority, { mode: 0o600 })
  return {
    env: { ...settings, PGSSLROOTCERT: join(folder, 'ca.pem') },
    remove: () => rm(folder, { recursive: true, force: true })
  }
}

type About = Pick<DumpFacts, 'format' | 'tool' | 'serverVersion'>

/** The stream ends only when the program has ended well and the counts are there. */
function streamOf(child: Child, moment: Moment, about: About, database: string, signal: AbortSignal): Dump {
  const counted = moment.facts()
  const whole = Promise.all([counted, child.ended]).then(([facts, ended]): DumpFacts => {
    if (ended.ok) return { ...about, ...facts }
    throw new SaasctlError('SERVER_FAILED', `${about.tool} of database "${database}" failed: ${scrub(ended.said)}.`, {
      hint: 'Nothing was kept of it; look at what it says, and try again.',
      retryable: true
    })
  })
  const stream = new Transform({
    transform: (chunk, _, done) => done(null, chunk),
    flush: done => {
      whole.then(
        () => done(),
        (error: Error) => done(error)
      )
    }
  })
  whole.catch((error: Error) => stream.destroy(error))
  const abort = () => stream.destroy(new SaasctlError('CANCELLED', `The dump of database "${database}" was cancelled.`))
  signal.addEventListener('abort', abort, { once: true })
  const facts = new Promise<DumpFacts>((resolve, reject) => {
    stream.on('end', () => resolve(whole))
    stream.on('error', reject)
    stream.on('close', () => {
      signal.removeEventListener('abort', abort)
      child.kill()
      moment.release()
      reject(new SaasctlError('CANCELLED', `The dump of database "${database}" was given up.`))
    })
  })
  facts.catch(() => undefined)
  child.output.on('error', error => stream.destroy(error))
  child.output.pipe(stream)
  return { stream, facts }
}
