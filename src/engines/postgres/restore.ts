import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { SaasctlError } from '../../errors.js'
import { startTool } from '../child.js'
import type { RestoreOptions } from '../dump.js'
import type { Credentials, ServerAddress } from '../engine.js'
import { scrub } from './errors.js'
import { shell } from './shell.js'

export async function restore(
  server: ServerAddress,
  database: string,
  owner: Credentials,
  stream: Readable,
  { signal }: RestoreOptions
): Promise<void> {
  const { env } = shell(server, database, owner, { readOnly: false })
  const child = startTool('/usr/bin/pg_restore', ['-1', '-O', '-x', '-N', 'saasctl', '-d', database], env)
  await pipeline(stream, child.input, { signal })
  const ended = await child.ended
  if (!ended.ok) throw new SaasctlError('SERVER_FAILED', `pg_restore failed: ${scrub(ended.said)}.`)
}
