import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Credentials, ServerAddress } from '../../src/engines/engine.js'
import { postgresBinaries } from '../../test/support/servers.js'

/** The program itself, beside the server's: what Debian has on PATH is a script in front of it. */
export async function dumpTool(name: 'pg_dump' | 'pg_restore'): Promise<string> {
  for (const { binDir } of await postgresBinaries()) {
    const path = join(binDir, name)
    const works = await promisify(execFile)(path, ['--version']).then(
      () => true,
      () => false
    )
    if (works) return path
  }
  throw new Error(`There is no ${name} here.`)
}

/** The way to a server for a program of PostgreSQL's. */
export function envOf({ host, port }: ServerAddress, { login, password }: Credentials): Record<string, string> {
  return { PGHOST: host, PGPORT: String(port), PGUSER: login, PGPASSWORD: password.reveal() }
}
