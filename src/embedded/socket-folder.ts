import { chown, lstat, mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { makePrivate } from './private.js'
import type { RunAs } from './user.js'

/** Linux allows 107 bytes for a socket's path, macOS 103; `/.s.PGSQL.65535` are 15 of them. */
const SOCKET_FOLDER_BYTES = 88

/** A private folder for the socket: beside the data, or a temporary one where that path is too long. `before` is used again. */
export async function socketFolder(
  place: string,
  user: RunAs | undefined,
  before: string | undefined
): Promise<string> {
  const beside = join(place, 'run')
  if (Buffer.byteLength(beside) <= SOCKET_FOLDER_BYTES) {
    await makePrivate(beside, user)
    return beside
  }
  if (before && (await isPrivate(before, user))) return before
  const temporary = Buffer.byteLength(tmpdir()) <= SOCKET_FOLDER_BYTES - 15 ? tmpdir() : '/tmp'
  const made = await mkdtemp(join(temporary, 'saasctl-'))
  if (user) await chown(made, user.uid, user.gid)
  return made
}

/** After a clean-up of the temporary folder, anybody may have made one of the same name. */
async function isPrivate(folder: string, user: RunAs | undefined): Promise<boolean> {
  const found = await lstat(folder).catch(() => undefined)
  return found?.isDirectory() === true && found.uid === (user?.uid ?? process.getuid?.()) && !(found.mode & 0o077)
}
