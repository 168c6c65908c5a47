import { readFile, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { SaasctlError } from '../errors.js'

/** PostgreSQL refuses to run as root: the user that runs it then, in the form that `spawn` takes. */
export interface RunAs {
  uid: number
  gid: number
}

/** Debian and the official image have `postgres`, macOS `_postgres`; `nobody` is everywhere. */
const CANDIDATES = ['postgres', '_postgres', 'nobody']

/** Whom the server runs as: an unprivileged user when we are root, otherwise ourselves (undefined). */
export async function unprivilegedUser(): Promise<RunAs | undefined> {
  if (process.getuid?.() !== 0) return undefined
  const rows = (await readFile('/etc/passwd', 'utf8')).split('\n').map(line => line.split(':'))
  for (const name of CANDIDATES) {
    const row = rows.find(row => row[0] === name)
    const [uid, gid] = [Number(row?.[2]), Number(row?.[3])]
    if (uid && gid) return { uid, gid }
  }
  throw new SaasctlError('EMBEDDED_FAILED', 'PostgreSQL refuses to run as root, and this machine has no other user.', {
    hint: 'Add one with `useradd --system postgres`, or run saasctl as an ordinary user.'
  })
}

/** Whether the user may pass through every folder down to `path` and into it, by the permission bits. */
export async function reachable(path: string, user: RunAs | undefined): Promise<boolean> {
  if (!user) return true
  for (let folder = path; ; folder = dirname(folder)) {
    const { uid, gid, mode } = await stat(folder)
    const bit = uid === user.uid ? 0o100 : gid === user.gid ? 0o010 : 0o001
    if (!(mode & bit)) return false
    if (folder === dirname(folder)) return true
  }
}

/** An existing data folder keeps its owner, whoever starts it. */
export async function ownerOf(dataDir: string, user: RunAs | undefined): Promise<RunAs | undefined> {
  if (!user) return undefined
  const { uid, gid } = await stat(dataDir)
  return { uid, gid }
}
