import { randomUUID } from 'node:crypto'
import { chown, mkdir, open, rename } from 'node:fs/promises'
import type { RunAs } from './user.js'

/** Makes a folder that only the server's user can enter. One that exists is OK. */
export async function makePrivate(folder: string, user: RunAs | undefined): Promise<void> {
  await mkdir(folder, { mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error
  })
  if (user) await chown(folder, user.uid, user.gid)
}

/**
 * Writes a file that only the server's user can read, whole or not at all. Never through a link that stands there: the
 * folder is that user's, and we may be root.
 */
export async function writePrivate(path: string, text: string, user: RunAs | undefined): Promise<void> {
  const building = `${path}.${randomUUID()}`
  const file = await open(building, 'wx', 0o600)
  try {
    await file.writeFile(text)
    if (user) await file.chown(user.uid, user.gid)
  } finally {
    await file.close()
  }
  await rename(building, path)
}
