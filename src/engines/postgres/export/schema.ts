import { text } from 'node:stream/consumers'
import { SaasctlError } from '../../../errors.js'
import { startTool } from '../../child.js'
import type { DumpOptions } from '../../dump.js'
import type { Credentials, ServerAddress } from '../../engine.js'
import { connect } from '../connect.js'
import { environmentOf } from '../dump.js'
import { scrub } from '../errors.js'
import { SCHEMA } from '../furnish.js'
import { findDumpTools, fittingTool, missing } from '../tools.js'

/** pg_dump's text of the schema, without what the control plane keeps in it, owners and rights. */
export async function schemaSql(
  server: ServerAddress,
  database: string,
  owner: Credentials,
  { signal, path }: DumpOptions
): Promise<string> {
  signal.throwIfAborted()
  const session = await connect(server, { database, as: owner, applicationName: 'saasctl/export' })
  const { major } = session
  session.leave()
  const tool = fittingTool(await findDumpTools(path), major)
  if (!tool) throw missing(major, `No pg_dump of ${major} or newer is on this machine.`)
  const { env, remove } = await environmentOf(server, database, owner)
  const rules = ['--schema-only', '--no-password', '--no-owner', '--no-privileges', '--no-tablespaces']
  const child = startTool(tool.path, [...rules, '--no-security-labels', `--exclude-schema=${SCHEMA}`], env)
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
