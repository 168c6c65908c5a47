import { spawnSync } from 'node:child_process'
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { hostname, tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { embedded } from '../embedded/embedded.js'
import { isOver } from './over.js'

/** Where the tests' own server and keys are. */
export interface Home {
  folder: string
  /** It stays, with its server. */
  kept: boolean
  /** Ends the server and removes the folder, or leaves both. */
  close(): Promise<void>
}

/** The host is in it because containers may share a temporary folder, and never know each other's pids. */
const prefix = `saasctl-testing-${hostname().replace(/[^a-z0-9]/gi, '')}-`

/**
 * A home that is gone when it is closed or the process ends. What a killed process has left is removed by the next one.
 * `path` is where PostgreSQL is looked for.
 */
export async function throwawayHome(path: string): Promise<Home> {
  await sweep(path)
  const folder = await mkdtemp(join(tmpdir(), `${prefix}${process.pid}-`))
  // A process that ends waits for nothing: another one does the work.
  const atExit = () => {
    spawnSync(process.execPath, [fileURLToPath(new URL('clear.js', import.meta.url)), folder, path], {
      stdio: 'ignore'
    })
  }
  process.once('exit', atExit)
  return {
    folder,
    kept: false,
    close: async () => {
      process.off('exit', atExit)
      await clearHome(folder, path)
    }
  }
}

export function keptHome(folder: string): Home {
  return { folder: resolve(folder), kept: true, close: async () => {} }
}

export async function clearHome(folder: string, path: string): Promise<void> {
  await embedded(folder, { path }).reset()
  await rm(folder, { recursive: true, force: true })
}

async function sweep(path: string): Promise<void> {
  for (const name of await readdir(tmpdir())) {
    const folder = join(tmpdir(), name)
    const pid = name.startsWith(prefix) ? Number.parseInt(name.slice(prefix.length), 10) : Number.NaN
    if (Number.isNaN(pid)) continue
    const { mtimeMs } = await stat(folder).catch(() => ({ mtimeMs: Number.POSITIVE_INFINITY }))
    // Somebody else's are theirs to remove.
    if (isOver(pid, mtimeMs)) await clearHome(folder, path).catch(() => {})
  }
}
