import {
  chmod,
  chown,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  realpath,
  rm,
  stat,
  symlink,
  writeFile
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SaasctlError } from '../errors.js'
import { stopPostmaster } from './postmaster.js'
import { type RunAs, reachable } from './user.js'

/** Everything of the embedded server is under here. */
const NAME = 'embedded'

/** For root, when the unprivileged user cannot pass through to the home folder (`/root/app/.saasctl`). */
const ELSEWHERE = process.platform === 'darwin' ? '/var/db' : '/var/lib'

/** Linux allows 107 bytes for a socket's path, macOS 103; `/.s.PGSQL.65535` are 15 of them. */
const SOCKET_FOLDER_BYTES = 88

/** The folder of the embedded server, with links resolved; undefined when there is none yet. */
export function findPlace(home: string): Promise<string | undefined> {
  return realpath(join(home, NAME)).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
}

/**
 * Makes the folder, `<home>/embedded`, unless it is there. Run by root in a home that the server's user cannot reach, it is
 * a link to `/var/lib/saasctl-XXXXXX` instead. Git ignores a home that is made here.
 */
export async function makePlace(home: string, user: RunAs | undefined): Promise<string> {
  const found = await findPlace(home)
  if (found !== undefined) return found
  const mode = user ? 0o711 : 0o700
  await mkdir(home, { recursive: true, mode })
  await writeFile(join(home, '.gitignore'), '*\n', { flag: 'wx' }).catch(unless('EEXIST'))
  const real = await realpath(home)
  if (await reachable(real, user)) await mkdir(join(real, NAME), { mode }).catch(unless('EEXIST'))
  else await linkElsewhere(real)
  return await realpath(join(real, NAME)).catch(cause => {
    throw new SaasctlError('EMBEDDED_FAILED', `The link ${join(real, NAME)} leads to a folder that is not there.`, {
      hint: 'Bring the folder back, or remove the link to begin with an empty server.',
      cause
    })
  })
}

async function linkElsewhere(home: string): Promise<void> {
  await stopAbandoned(home)
  const target = await mkdtemp(join(ELSEWHERE, 'saasctl-'))
  await chmod(target, 0o711)
  await writeFile(join(target, 'home'), home)
  try {
    await symlink(target, join(home, NAME))
  } catch (error) {
    await rm(target, { recursive: true })
    unless('EEXIST')(error as NodeJS.ErrnoException)
  }
}

/** Somebody deleted the home and with it the link: its server would run on unseen. The data stays, it is not ours to judge. */
async function stopAbandoned(home: string): Promise<void> {
  for (const name of await readdir(ELSEWHERE)) {
    if (!name.startsWith('saasctl-')) continue
    const place = join(ELSEWHERE, name)
    if ((await readFile(join(place, 'home'), 'utf8').catch(() => '')) === home) await stopPostmaster(dataDirOf(place))
  }
}

export function dataDirOf(place: string): string {
  return join(place, 'cluster', 'data')
}

/** Removes the folder and, where it is a link, what it leads to. A second time is OK. */
export async function removePlace(home: string): Promise<void> {
  const place = await findPlace(home)
  if (place) await rm(place, { recursive: true, force: true })
  await rm(join(home, NAME), { force: true, recursive: true })
}

/** A private folder for the socket: beside the data, or a temporary one where that path is too long. `before` is used again. */
export async function socketFolder(
  place: string,
  user: RunAs | undefined,
  before: string | undefined
): Promise<string> {
  const beside = join(place, 'run')
  if (Buffer.byteLength(beside) <= SOCKET_FOLDER_BYTES) {
    await mkdir(beside, { mode: 0o700 }).catch(unless('EEXIST'))
    if (user) await chown(beside, user.uid, user.gid)
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

/** An existing data folder keeps its owner, whoever starts it. */
export async function ownerOf(dataDir: string, user: RunAs | undefined): Promise<RunAs | undefined> {
  if (!user) return undefined
  const { uid, gid } = await stat(dataDir)
  return { uid, gid }
}

function unless(code: string): (error: NodeJS.ErrnoException) => void {
  return error => {
    if (error.code !== code) throw error
  }
}
