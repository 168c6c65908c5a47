import { access, constants, readdir, realpath } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { run } from './programs.js'
import type { RunAs } from './user.js'

/** The programs of one PostgreSQL: `initdb` and `postgres` at least; `pg_dump` and `psql` where the machine brought it. */
export interface Binaries {
  binDir: string
  /** As it prints itself, for people: `15.18`. */
  version: string
  major: number
  source: 'machine' | 'package'
}

/** syncfs, `GRANT SET ON PARAMETER` and a closed schema `public` came by 15. */
const OLDEST = 15

/** Where packages put versions that are not on PATH: Debian, Red Hat, Homebrew (both), Postgres.app, MacPorts, FreeBSD. */
const FOLDERS: Array<{ parent: string; pattern: RegExp; bin: string }> = [
  { parent: '/usr/lib/postgresql', pattern: /^\d+$/, bin: 'bin' },
  { parent: '/usr', pattern: /^pgsql-\d+$/, bin: 'bin' },
  { parent: '/opt/homebrew/opt', pattern: /^postgresql(@\d+)?$/, bin: 'bin' },
  { parent: '/usr/local/opt', pattern: /^postgresql(@\d+)?$/, bin: 'bin' },
  { parent: '/Applications/Postgres.app/Contents/Versions', pattern: /^\d+$/, bin: 'bin' },
  { parent: '/opt/local/lib', pattern: /^postgresql\d+$/, bin: 'bin' },
  { parent: '/usr/local/pgsql', pattern: /^bin$/, bin: '.' }
]

/**
 * Every PostgreSQL of the machine that the user can run and that can make a server, newest first, one per major.
 * `path` is the value of PATH.
 */
export async function machineBinaries(path: string, user: RunAs | undefined): Promise<Binaries[]> {
  const folders = new Set<string>()
  for (const folder of [...path.split(delimiter).filter(Boolean), ...(await versionedFolders())]) {
    const home = await serverHome(folder)
    if (home) folders.add(home)
  }
  const found = await Promise.all([...folders].map(folder => inspectBinaries(folder, 'machine', user)))
  const usable = found.filter(binaries => binaries !== undefined).filter(({ major }) => major >= OLDEST)
  usable.sort((a, b) => b.version.localeCompare(a.version, 'en', { numeric: true }))
  return usable.filter((binaries, index) => usable.findIndex(({ major }) => major === binaries.major) === index)
}

/** Asks the binaries who they are; undefined when they do not run here, or not as this user. */
export async function inspectBinaries(
  binDir: string,
  source: Binaries['source'],
  user: RunAs | undefined
): Promise<Binaries | undefined> {
  const printed = await run(join(binDir, 'postgres'), ['--version'], { user }).catch(() => '')
  const version = /^postgres \(PostgreSQL\) (\d+\.\d+)/.exec(printed)?.[1]
  return version === undefined ? undefined : { binDir, version, major: Number.parseInt(version, 10), source }
}

async function versionedFolders(): Promise<string[]> {
  const found = FOLDERS.map(async ({ parent, pattern, bin }) => {
    const names = await readdir(parent).catch((): string[] => [])
    return names.filter(name => pattern.test(name)).map(name => join(parent, name, bin))
  })
  return (await Promise.all(found)).flat()
}

/** The folder behind the links: PATH often holds links to a few programs only, and `postgres` looks for its share beside itself. */
async function serverHome(folder: string): Promise<string | undefined> {
  try {
    const home = join(await realpath(join(folder, 'postgres')), '..')
    await access(join(home, 'postgres'), constants.X_OK)
    await access(join(home, 'initdb'), constants.X_OK)
    return home
  } catch {
    return undefined
  }
}
