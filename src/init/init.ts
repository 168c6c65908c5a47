import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { EngineName } from '../engines/engine.js'
import { SaasctlError } from '../errors.js'
import { parseName } from '../names.js'
import { loadPlans } from '../templates/files.js'
import {
  configFile,
  migrationFile,
  migrationsFolder,
  type ProjectFile,
  plansFile,
  startServer,
  templateFile
} from './files.js'
import { ignoreHome } from './gitignore.js'

export interface InitOptions {
  /** The name of the first template; `standard` unless given. */
  template?: string | undefined
  /** What its tenants live on; `postgres` unless given. */
  engine?: EngineName | undefined
}

export interface InitOutcome {
  /** Paths from the folder, in the order they were written. */
  written: string[]
  /** What was there already and was left as it is. */
  kept: string[]
  /** The commands that come next. */
  next: string[]
}

/**
 * Makes a folder a project of saasctl: its configuration, plans, a template and a first migration. Never overwrites: what
 * is there is kept, so that a second time is OK and does only what is missing. CONFIG_INVALID when plans.json is there and broken.
 */
export async function initProject(folder: string, options: InitOptions = {}): Promise<InitOutcome> {
  const { engine = 'postgres' } = options
  const template = parseName(options.template ?? 'standard', 'template')
  const outcome: InitOutcome = { written: [], kept: [], next: nextCommands(template, engine) }
  const write = async (file: ProjectFile) => {
    const made = await writeNew(join(folder, file.path), file.text)
    outcome[made ? 'written' : 'kept'].push(file.path)
  }
  await write(plansFile)
  const [plan] = await loadPlans(join(folder, dirname(plansFile.path)))
  const project = { template, engine, plan: plan?.name ?? 'free' }
  await write(templateFile(project))
  const migrations = await migrationsIn(join(folder, migrationsFolder(engine)))
  if (migrations.length === 0) await write(migrationFile(engine))
  else outcome.kept.push(...migrations.map(file => `${migrationsFolder(engine)}/${file}`))
  await write(configFile(project))
  const ignored = await ignoreHome(folder)
  if (ignored) outcome[ignored].push('.gitignore')
  return outcome
}

/** False when something is there under this name, be it a broken link. */
async function writeNew(path: string, text: string): Promise<boolean> {
  try {
    await mkdir(dirname(path), { recursive: true })
  } catch (error) {
    throw notWritten(path, error)
  }
  try {
    await writeFile(path, text, { flag: 'wx' })
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw notWritten(path, error)
  }
}

function notWritten(path: string, error: unknown): SaasctlError {
  return new SaasctlError('FAILED', `${path} could not be written: ${(error as Error).message}.`, {
    hint: 'Make the folder writable, then run "saasctl init" again: it goes on where it stopped.',
    cause: error
  })
}

async function migrationsIn(folder: string): Promise<string[]> {
  const files = await readdir(folder).catch(() => [])
  return files.filter(file => file.endsWith('.sql')).sort()
}

function nextCommands(template: string, engine: EngineName): string[] {
  return [
    ...startServer[engine],
    `saasctl migration check ${template}`,
    'saasctl tenant create acme',
    'saasctl tenant shell acme'
  ]
}
