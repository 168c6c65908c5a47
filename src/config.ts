import { existsSync, readFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { SaasctlError } from './errors.js'
import { Secret } from './secret.js'

/** The file that marks a project; found by walking up from the working folder. */
export const configFile = 'saasctl.json'

/** How one setting is read. `file` is its name in saasctl.json; a secret has none, because that file is committed. */
interface Setting<T> {
  env: string
  file?: string
  parse(text: string, project: string): T
  fallback(project: string): T
  about: string
  secret?: true
}

const setting = <T>(row: Setting<T>): Setting<T> => row

/** The one table of settings. Flag beats environment beats file beats default; `config show` prints each with its source. */
export const settings = {
  catalog: setting<string | null>({
    env: 'SAASCTL_CATALOG_URL',
    file: 'catalog',
    parse: postgresUrl,
    fallback: () => null,
    about: 'The catalog: postgres://LOGIN@HOST:PORT/DATABASE. Without it, the embedded server.'
  }),
  catalogPassword: setting<Secret | null>({
    env: 'SAASCTL_CATALOG_PASSWORD',
    parse: text => new Secret(text),
    fallback: () => null,
    about: 'The catalog login’s password, when it is not in SAASCTL_CATALOG_URL.',
    secret: true
  }),
  catalogPasswordFile: setting<string | null>({
    env: 'SAASCTL_CATALOG_PASSWORD_FILE',
    file: 'catalogPasswordFile',
    parse: path,
    fallback: () => null,
    about: 'A file that holds the catalog login’s password.'
  }),
  catalogAdmin: setting<Secret | null>({
    env: 'SAASCTL_CATALOG_ADMIN_URL',
    parse: text => new Secret(postgresUrl(text)),
    fallback: () => null,
    about:
      'The owner of the catalog’s database, a login with CREATEROLE: for "catalog migrate" and "catalog credentials" alone.',
    secret: true
  }),
  embedded: setting<boolean>({
    env: 'SAASCTL_EMBEDDED',
    parse: yesOrNo,
    fallback: () => false,
    about: 'Allows the embedded server under NODE_ENV=production.'
  }),
  home: setting<string>({
    env: 'SAASCTL_HOME',
    file: 'home',
    parse: path,
    fallback: project => join(project, '.saasctl'),
    about: 'Where the embedded server and the keys are.'
  }),
  keyStore: setting<string | null>({
    env: 'SAASCTL_KEY_STORE',
    file: 'keyStore',
    parse: text => text,
    fallback: () => null,
    about: 'Where the keys are: "file:FOLDER" or "env". The default is the folder "keys" in the home.'
  }),
  controlKey: setting<Secret | null>({
    env: 'SAASCTL_CONTROL_KEY',
    parse: text => new Secret(text),
    fallback: () => null,
    about: 'The control master key, 32 bytes in base64, for the key store "env".',
    secret: true
  }),
  routingKey: setting<Secret | null>({
    env: 'SAASCTL_ROUTING_KEY',
    parse: text => new Secret(text),
    fallback: () => null,
    about: 'The routing master key, 32 bytes in base64, for the key store "env".',
    secret: true
  }),
  templates: setting<string>({
    env: 'SAASCTL_TEMPLATES',
    file: 'templates',
    parse: path,
    fallback: project => ownOrShipped(project, 'tenant-templates'),
    about: 'The folder of templates and plans.json.'
  }),
  template: setting<string>({
    env: 'SAASCTL_TEMPLATE',
    file: 'template',
    parse: text => text,
    fallback: () => 'standard',
    about: 'The template of a tenant that was made without one.'
  }),
  deleteGrace: setting<number>({
    env: 'SAASCTL_DELETE_GRACE',
    file: 'deleteGrace',
    parse: duration,
    fallback: () => duration('7d'),
    about: 'How long a deleted tenant can come back.'
  }),
  slugQuarantine: setting<number>({
    env: 'SAASCTL_SLUG_QUARANTINE',
    file: 'slugQuarantine',
    parse: duration,
    fallback: () => duration('30d'),
    about: 'How long a freed slug is kept back from others.'
  }),
  lease: setting<number>({
    env: 'SAASCTL_LEASE',
    file: 'lease',
    parse: duration,
    fallback: () => duration('15s'),
    about: 'How long an operation stays with a process that is not heard of.'
  }),
  beat: setting<number>({
    env: 'SAASCTL_BEAT',
    file: 'beat',
    parse: duration,
    fallback: () => duration('5s'),
    about: 'How often a worker says that it lives and looks for work that is due.'
  }),
  concurrency: setting<number>({
    env: 'SAASCTL_CONCURRENCY',
    file: 'concurrency',
    parse: count,
    fallback: () => 2,
    about: 'How many operations one process works at a time. Two per server measured best on two cores.'
  }),
  operator: setting<string>({
    env: 'SAASCTL_OPERATOR',
    parse: text => text,
    fallback: osUser,
    about: 'The name that the audit trail writes down, marked as asserted. The default is the user of the system.'
  }),
  failpoint: setting<string>({
    env: 'SAASCTL_FAILPOINT',
    parse: text => text,
    fallback: () => '',
    about: 'For tests: where to be killed, as "tenant.create/make logins:acted".'
  }),
  production: setting<boolean>({
    env: 'NODE_ENV',
    parse: text => text === 'production',
    fallback: () => false,
    about: 'Under "production" the embedded server is refused unless it is allowed.'
  }),
  path: setting<string>({
    env: 'PATH',
    parse: text => text,
    fallback: () => '',
    about: 'Where programs are looked for.'
  })
} as const

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
      if (found && row.secret && found.source.startsWith('--')) throw new Error('is a secret and cannot be an argument')
      values[name] = found
        ? row.parse(found.text, found.base ?? (found.source === configFile ? project : cwd))
        : row.fallback(project)
    } catch (error) {
      problems.push(
        `${found?.source === configFile ? `${configFile}: ${row.file}` : (found?.source ?? name)}: ${(error as Error).message}`
      )
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
  text: string
  source: string
  base?: string
}

function look(
  name: SettingName,
  row: Setting<unknown>,
  flags: ConfigInput['flags'],
  env: Record<string, string | undefined>,
  file: Record<string, unknown>
): Found | undefined {
  const flag = flags?.[name]
  if (flag !== undefined) return { text: flag, source: `--${name}` }
  const variable = env[row.env]
  if (variable !== undefined && variable !== '') return { text: variable, source: row.env }
  const entry = row.file === undefined ? undefined : file[row.file]
  return entry === undefined ? undefined : { text: String(entry), source: configFile }
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
    throw new SaasctlError('CONFIG_INVALID', `${path} cannot be read: ${(error as Error).message}.`, {
      hint: 'Correct the file, or make a new one with "saasctl init".'
    })
  }
}

/** The package's own folder, for what it ships. */
export const packageFolder = fileURLToPath(new URL('../../', import.meta.url))

function ownOrShipped(project: string, name: string): string {
  const own = join(project, name)
  return existsSync(own) ? own : join(packageFolder, name)
}

function postgresUrl(text: string): string {
  let url: URL
  try {
    url = new URL(text)
  } catch {
    throw new Error('is not a URL; write postgres://LOGIN@HOST:PORT/DATABASE')
  }
  if (!/^postgres(ql)?:$/.test(url.protocol)) throw new Error('must begin with postgres://')
  if (url.pathname.length < 2) throw new Error('names no database')
  return text
}

function path(text: string, base: string): string {
  return resolve(base, text)
}

function yesOrNo(text: string): boolean {
  if (/^(1|true|yes|on)$/i.test(text)) return true
  if (/^(0|false|no|off)$/i.test(text)) return false
  throw new Error('must be yes or no')
}

function count(text: string): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1 || value > 1000) throw new Error('must be a whole number from 1 to 1000')
  return value
}

const units: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** Milliseconds of `300ms`, `15s`, `10m`, `2h`, `7d`. */
export function duration(text: string): number {
  const match = /^(\d{1,9})(ms|s|m|h|d)$/.exec(text)
  if (!match) throw new Error('must be a duration such as 15s, 10m or 7d')
  return Number(match[1]) * (units[match[2] ?? ''] ?? 1)
}

function osUser(): string {
  try {
    return userInfo().username
  } catch {
    return 'unknown'
  }
}
