import { execFile } from 'node:child_process'
import { access, constants, readdir } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'

/** A program of the machine that says of itself what it is. */
export interface Tool {
  path: string
  /** As it prints itself, for people: `15.18`. */
  version: string
  /** The whole line that it prints. */
  printed: string
}

/** Where packages put versions that are not on PATH. */
export interface Folder {
  parent: string
  pattern: RegExp
  bin: string
}

/** What every tool gets to see of our environment: no key or password of ours, and English messages, for we show them. */
export const toolEnvironment = { PATH: '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' }

const asked = new Map<string, Promise<Tool | undefined>>()

/**
 * Every program of these names in the folders and on PATH, in that order, that runs here. Each is asked once a
 * process. With an empty PATH no program of the machine is used.
 */
export async function findTools(names: string[], path: string, folders: Folder[]): Promise<Tool[]> {
  if (path === '') return []
  const places = [...(await versionedFolders(folders)), ...path.split(delimiter).filter(Boolean)]
  const candidates = [...new Set(places)].flatMap(place => names.map(name => join(place, name)))
  const found = await Promise.all(candidates.map(ask))
  return found.filter(tool => tool !== undefined)
}

async function ask(path: string): Promise<Tool | undefined> {
  const known = asked.get(path)
  if (known) return await known
  const runs = await access(path, constants.X_OK).then(
    () => true,
    () => false
  )
  // What is not there today may be installed while a worker runs.
  if (!runs) return undefined
  const asking = whoAreYou(path)
  asked.set(path, asking)
  return await asking
}

async function whoAreYou(path: string): Promise<Tool | undefined> {
  try {
    const { stdout } = await promisify(execFile)(path, ['--version'], { env: toolEnvironment, timeout: 10_000 })
    // MariaDB's up to 10 begin with a version that is the program's own.
    const version = (/Distrib (\d+(?:\.\d+)+)/.exec(stdout) ?? /(\d+(?:\.\d+)+)/.exec(stdout))?.[1]
    return version === undefined ? undefined : { path, version, printed: stdout.trim() }
  } catch {
    return undefined
  }
}

async function versionedFolders(folders: Folder[]): Promise<string[]> {
  const found = folders.map(async ({ parent, pattern, bin }) => {
    const names = await readdir(parent).catch((): string[] => [])
    return names.filter(name => pattern.test(name)).map(name => join(parent, name, bin))
  })
  return (await Promise.all(found)).flat()
}
