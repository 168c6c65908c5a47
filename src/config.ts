import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { SaasctlError } from './errors.js'
import { type Setting, settings } from './settings.js'

export { duration } from './duration.js'
export { packageFolder, settings } from './settings.js'

/** The file that marks a project; found by walking up from the working folder. */
export const configFile = 'saasctl.json'

type Settings = typeof settings
export type SettingName = keyof Settings
type Values = { readonly [Name in SettingName]: ReturnType<Settings[Name]['fallback']> }

export interface Config extends Values {
  /** The folder that holds saasctl.json, or `.saasctl`, or the working folder. */
  readonly project: string
  /** Where each value came from, for people. */
  readonly sources: Readonly<Record<SettingName, string>>
}

export interface ConfigInput {
  cwd?: string
  env?: Record<string, string | undefined>
  flags?: Partial<Record<SettingName, string | undefined>>
}

/** Reads all settings once, reports every problem together with its place (CONFIG_INVALID), and freezes them. */
export function loadConfig({ cwd = process.cwd(), env = process.env, flags = {} }: ConfigInput = {}): Config {
  const project = findProject(cwd)
  const file = readFile(join(project, configFile))
  const problems: string[] = []
  const values: Record<string, unknown> = {}
  const sources: Record<string, string> = {}
  for (const [name, row] of Object.entries(settings) as Array<[SettingName, Setting<unknown>]>) {
    const found = look(name, row, flags, env, file)
    sources[name] = found?.source ?? 'default'
    try {
      values[name] = found ? read(found, row, found.source === configFile ? project : cwd) : row.fallback(project)
    } catch (error) {
      problems.push(`${found?.place ?? name}: ${(error as Error).message}`)
    }
  }
  const known = new Set(Object.values(settings).map(row => (row as Setting<unknown>).file))
  for (const key of Object.keys(file)) if (!known.has(key)) problems.push(`${configFile}: ${key}: is not a setting`)
  if (problems.length > 0) {
    throw new SaasctlError('CONFIG_INVALID', `The configuration is not usable: ${problems.join('; ')}.`, {
      hint: 'See every setting and where it comes from with "saasctl config show".'
    })
  }
  return Object.freeze({
    ...(values as unknown as Values),
    project,
    sources: Object.freeze(sources) as Config['sources']
  })
}

interface Found {
  given: unknown
  source: string
  /** Where in the source, for messages. */
  place: string
}

function look(
  name: SettingName,
  row: Setting<unknown>,
  flags: ConfigInput['flags'],
  env: Record<string, string | undefined>,
  file: Record<string, unknown>
): Found | undefined {
  const flag = flags?.[name]
  if (flag !== undefined) return { given: flag, source: `--${name}`, place: `--${name}` }
  const variable = env[row.env]
  if (variable !== undefined && variable !== '') return { given: variable, source: row.env, place: row.env }
  const entry = row.file === undefined ? undefined : file[row.file]
  return entry === undefined ? undefined : { given: entry, source: configFile, place: `${configFile}: ${row.file}` }
}

/** Arguments are in the process list, and saasctl.json is committed: a secret comes from the environment or a file of its own. */
function read({ given, source }: Found, row: Setting<unknown>, base: string): unknown {
  if (!['string', 'number', 'boolean'].includes(typeof given))
    throw new Error('must be a text, a number, true or false')
  const text = String(given)
  if (source !== row.env && (row.secret || holdsPassword(text))) {
    throw new Error(`is no place for a password; set ${row.env} in the environment`)
  }
  return row.parse(text, base)
}

function holdsPassword(text: string): boolean {
  if (!URL.canParse(text)) return false
  const { password, searchParams } = new URL(text)
  return password !== '' || searchParams.has('password')
}

function findProject(cwd: string): string {
  for (const marker of [configFile, '.saasctl']) {
    for (let folder = resolve(cwd); ; folder = dirname(folder)) {
      if (existsSync(join(folder, marker))) return folder
      if (folder === dirname(folder)) break
    }
  }
  return resolve(cwd)
}

function readFile(path: string): Record<string, unknown> {
  if (!existsSync(path)) return {}
  try {
    const parsed: unknown = JSON.parse(readFileSync(path, 'utf8'))
    if (parsed !== null && typeof parsed === 'object' && !Array.isArray(parsed))
      return parsed as Record<string, unknown>
    throw new Error('it is not an object')
  } catch (error) {
    // The parser would quote what stands around its problem.
    const reason = (error as Error).message.replace(/, (?:\.\.\.)?".*$/s, '')
    throw new SaasctlError('CONFIG_INVALID', `${path} cannot be read: ${reason}.`, {
      hint: 'Correct the file, or make a new one with "saasctl init".'
    })
  }
}

/** Runs an act with a variable set for a library that can be told in no other way; what stood there stays. */
export function withVariable<T>(name: string, value: string, act: () => T): T {
  const before = process.env[name]
  process.env[name] = before ?? value
  try {
    return act()
  } finally {
    if (before === undefined) delete process.env[name]
  }
}
