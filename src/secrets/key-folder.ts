import { mkdir, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { errno, syncFolder } from '../disk.js'
import { SaasctlError } from '../errors.js'

/** Makes the folder for its owner alone. Its parents get the usual mode: others may have to pass through them. */
export async function makeFolder(folder: string): Promise<void> {
  try {
    await mkdir(dirname(folder), { recursive: true })
    await mkdir(folder, { mode: 0o700 })
    await syncFolder(dirname(folder))
  } catch (error) {
    if (errno(error) !== 'EEXIST') throw refused(folder, error)
  }
}

/** In a folder that others may write to, a key could be exchanged. */
export async function checkFolder(folder: string): Promise<void> {
  const found = await unlessAbsent(folder, stat(folder))
  if (found === undefined || (found.mode & 0o022) === 0) return
  throw new SaasctlError('KEY_REFUSED', `The folder ${folder} holds keys and may be written by others.`, {
    hint: `Run: chmod 700 ${folder}`
  })
}

/** What was read, or undefined when it is not there; every other failure says which path. */
export async function unlessAbsent<T>(path: string, reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading
  } catch (error) {
    if (errno(error) === 'ENOENT') return undefined
    throw refused(path, error)
  }
}

export function refused(path: string, cause: unknown): SaasctlError {
  if (cause instanceof SaasctlError) return cause
  return new SaasctlError('KEY_REFUSED', `The key store could not use ${path} (${errno(cause) ?? 'unknown reason'}).`, {
    hint: 'Run as the user who owns the key folder, on a file system with hard links and free space.',
    cause
  })
}
