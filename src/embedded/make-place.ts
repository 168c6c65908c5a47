import { chmod, mkdir, mkdtemp, readdir, readFile, realpath, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { SaasctlError } from '../errors.js'
import { dataDirOf, findPlace, NAME } from './place.js'
import { stopPostmaster } from './postmaster.js'
import { type RunAs, reachable } from './user.js'

/** For root, when the unprivileged user cannot pass through to the home folder (`/root/app/.saasctl`). */
const ELSEWHERE = process.platform === 'darwin' ? '/var/db' : '/var/lib'

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

/** Removes the folder and, where it is a link, what it leads to. A second time is OK. */
export async function removePlace(home: string): Promise<void> {
  const place = await findPlace(home)
  if (place) await rm(place, { recursive: true, force: true })
  await rm(join(home, NAME), { force: true, recursive: true })
}

function unless(code: string): (error: NodeJS.ErrnoException) => void {
  return error => {
    if (error.code !== code) throw error
  }
}
