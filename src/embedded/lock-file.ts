import { link, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { isAlive } from './programs.js'

/** Makes the file unless a living process has it; whoever made it removes it. The lock of a process that is gone is nobody's. */
export async function takeLock(path: string): Promise<boolean> {
  const mine = `${path}.${process.pid}`
  try {
    // Linked, so that a lock is never there without its holder's pid in it.
    await writeFile(mine, String(process.pid), { mode: 0o600 })
    if (await linked(mine, path)) return true
    const holder = await readFile(path, 'utf8').catch(() => '')
    if (holder !== '' && !isAlive(Number(holder))) await removeStale(path, holder, mine)
    return false
  } finally {
    await rm(mine, { force: true })
  }
}

/** Another process may have removed the same one and taken the lock since we looked: that one is put back. */
async function removeStale(path: string, holder: string, aside: string): Promise<void> {
  try {
    await rename(path, aside)
    if ((await readFile(aside, 'utf8')) !== holder) await linked(aside, path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
}

async function linked(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}
