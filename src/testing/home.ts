import { spawnSync } from 'node:child_process'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { embedded } from '../embedded/embedded.js'

/** Where the tests' own server and keys are. */
export interface Home {
  folder: string
  /** It stays, with its server. */
  kept: boolean
  /** Ends the server and removes the folder, or leaves both. */
  close(): Promise<void>
}

const prefix = (pid: number | string) => `saasctl-testing-${pid}-`

/**
 * A home that is gone when it is closed or the process ends. What a killed process has left is removed by the next one.
 * `path` is where PostgreSQL is looked for.
 */
export async function throwawayHome(path: string): Promise<Home> {
  await sweep(path)
  const folder = await mkdtemp(join(tmpdir(), prefix(process.pid)))
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
  const left = (await readdir(tmpdir())).flatMap(name => {
    const [, pid = ''] = /^saasctl-testing-(\d+)-/.exec(name) ?? []
    return pid !== '' && !lives(Number(pid)) ? join(tmpdir(), name) : []
  })
  // Somebody else's are theirs to remove.
  for (const folder of left) await clearHome(folder, path).catch(() => {})
}

function lives(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
