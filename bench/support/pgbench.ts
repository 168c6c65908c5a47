import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { RoutedWay } from '../../src/engines/routing.js'

/** Requests for a note a second, as PostgreSQL's own client makes them: each on a connection of its own, to one database. */
export async function connectingPgbench({ address, database, as }: RoutedWay, milliseconds: number): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), 'saasctl-bench.'))
  const script = join(folder, 'request.sql')
  await writeFile(script, `\\set id random(1, 1000)\nselect id, body from notes where id = :id;\n`)
  const where = ['-h', address.host, '-p', String(address.port), '-U', as.login, database]
  const seconds = Math.max(1, Math.round(milliseconds / 1_000))
  const how = ['-n', '-C', '-M', 'extended', '-c', '8', '-j', '2', '-T', String(seconds), '-f', script]
  try {
    const { stdout } = await promisify(execFile)('pgbench', [...how, ...where], {
      env: { ...process.env, PGPASSWORD: as.password.reveal() }
    })
    return Number(/tps = ([\d.]+)/.exec(stdout)?.[1])
  } finally {
    await rm(folder, { recursive: true })
  }
}
