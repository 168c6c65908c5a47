import { text } from 'node:stream/consumers'
import { SaasctlError } from '../../../errors.js'
import { startTool } from '../../child.js'
import type { Credentials, ServerAddress } from '../../engine.js'
import type { SchemaOptions } from '../../snapshot.js'
import { connect } from '../connect.js'
import { environmentOf } from '../dump-program.js'
import { scrub } from '../errors.js'
import { SCHEMA } from '../furnish.js'
import { findDumpTools, fittingTool, missing } from '../tools.js'

const rules = [
  '--no-owner',
  '--no-privileges',
  '--no-tablespaces',
  '--no-security-labels',
  `--exclude-schema=${SCHEMA}`
]

/** pg_dump's text of the schema, without what the control plane keeps in it, owners and rights. */
export async function schemaSql(
  server: ServerAddress,
  database: string,
  owner: Credentials,
  { signal, path, handle }: SchemaOptions
): Promise<string> {
  signal.throwIfAborted()
  const session = await connect(server, { database, as: owner, applicationName: 'saasctl/export' })
  const { major } = session
  session.leave()
  const tool = fittingTool(await findDumpTools(path), major)
  if (!tool) return withoutTool(server, database, owner, { major, signal, handle })
  const { env, remove } = await environmentOf(server, database, owner)
  const moment = handle === null ? [] : [`--snapshot=${handle}`]
  const child = startTool(tool.path, ['--schema-only', '--no-password', ...rules, ...moment], env)
  signal.addEventListener('abort', child.kill, { once: true })
  try {
    const [sql, ended] = await Promise.all([text(child.output), child.ended])
    signal.throwIfAborted()
    if (ended.ok) return sql
    throw new SaasctlError('SERVER_FAILED', `pg_dump of the schema of "${database}" failed: ${scrub(ended.said)}.`, {
      hint: 'Look at what it says, and try again.',
      retryable: true
    })
  } finally {
    signal.removeEventListener('abort', child.kill)
    await remove()
  }
}

/** By the pg_dump in WASM, for every server that it knows. */
async function withoutTool(
  server: ServerAddress,
  database: string,
  owner: Credentials,
  { major, signal, handle }: { major: number; signal: AbortSignal; handle: string | null }
): Promise<string> {
  const { NEWEST_MAJOR, dumpSchema } = await import('../portable/schema.js')
  if (major > NEWEST_MAJOR) throw missing(major, `No pg_dump of ${major} or newer is on this machine.`)
  return dumpSchema(server, database, owner, { rules, snapshot: handle, signal })
}
