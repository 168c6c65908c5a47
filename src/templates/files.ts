import { readdir, stat } from 'node:fs/promises'
import { posix, resolve } from 'node:path'
import { checksum } from '../canonical.js'
import { SaasctlError } from '../errors.js'
import { quoteInput } from '../names.js'
import { readPlans } from './plan-files.js'
import { Reading } from './reading.js'
import { name, type Report } from './shape.js'
import { type EngineFiles, engineNames, type Seed, type Template, type TemplateFiles, template } from './template.js'

export { loadPlans, type Plan } from './plan-files.js'
export type { Seed, Template, TemplateDefinition, TemplateFiles } from './template.js'

/**
 * Reads every template of a folder, in the order of their names, frozen.
 * Throws CONFIG_INVALID with every problem of every file, `plans.json` included.
 */
export async function loadTemplates(folder: string): Promise<readonly Template[]> {
  const reading = new Reading(folder)
  return readTemplates(reading, await templateNames(reading))
}

/** Reads one template, frozen. Throws TEMPLATE_NOT_FOUND, or CONFIG_INVALID with every problem of its files and plans. */
export async function loadTemplate(folder: string, name: string): Promise<Template> {
  const reading = new Reading(folder)
  const names = await templateNames(reading)
  if (names.includes(name)) {
    const [found] = await readTemplates(reading, [name])
    if (found) return found
  }
  throw new SaasctlError('TEMPLATE_NOT_FOUND', `There is no template named ${quoteInput(name)} in ${folder}.`, {
    hint:
      names.length > 0 ? `The templates are: ${names.join(', ')}.` : `Make a folder with a template.json in ${folder}.`
  })
}

/** A template is a folder, and its name is the folder's. */
async function templateNames({ folder }: Reading): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => [])
  const folders = entries.filter(entry => entry.isDirectory() && !entry.name.startsWith('.'))
  return folders.map(entry => entry.name).sort()
}

async function readTemplates(reading: Reading, names: string[]): Promise<readonly Template[]> {
  const plans = await readPlans(reading)
  const planNames = reading.clean ? plans.map(plan => plan.name) : undefined
  const templates: Template[] = []
  for (const name of names) {
    const found = await readTemplate(reading, name, planNames)
    if (found) templates.push(found)
  }
  reading.end()
  return Object.freeze(templates)
}

/** `plans` is undefined when they could not be read, and then is no problem of the template's. */
async function readTemplate(reading: Reading, folder: string, plans?: string[]): Promise<Template | undefined> {
  const file = `${folder}/template.json`
  const report = reading.report(file)
  name(folder, '', reading.report(folder))
  const json = await reading.json(file)
  if (json === undefined) return undefined
  const definition = template(json, '', report)
  if (!definition) return undefined
  if (plans && !plans.includes(definition.defaultPlan)) {
    report('defaultPlan', `is "${definition.defaultPlan}", but must be one of ${plans.join(', ')}`)
  }
  if (Object.keys(definition.engines).length === 0) report('engines', `is empty; it needs ${engineNames.join(' or ')}`)
  const engines: Array<[string, TemplateFiles]> = []
  for (const [engine, files] of Object.entries(definition.engines)) {
    const below: Report = (path, problem) => report(`engines.${engine}.${path}`, problem)
    engines.push([engine, await findFiles(reading, folder, files, below)])
  }
  const seeds = engines.flatMap(([, files]) => files.seeds.map(({ file, sql }) => ({ file, sql })))
  return Object.freeze({
    ...definition,
    name: folder,
    engines: Object.freeze(Object.fromEntries(engines)),
    definition,
    checksum: checksum({ name: folder, definition: json, seeds })
  })
}

async function findFiles(reading: Reading, folder: string, files: EngineFiles, report: Report): Promise<TemplateFiles> {
  const migrations = resolve(reading.folder, folder, files.migrations)
  const found = await stat(migrations).catch(() => undefined)
  if (!found?.isDirectory()) report('migrations', `is ${quoteInput(files.migrations)}, where there is no folder`)
  const seeds: Seed[] = []
  for (const [index, seed] of files.seeds.entries()) {
    const path = `seeds[${index}]`
    const file = posix.join(folder, seed)
    if (posix.isAbsolute(seed) || file.startsWith('../')) {
      report(path, `is ${quoteInput(seed)}, but must be a file within the templates folder`)
      continue
    }
    const sql = await reading.text(file, report, path)
    if (sql !== undefined) seeds.push(Object.freeze({ file, sql }))
  }
  return Object.freeze({ migrations, seeds: Object.freeze(seeds) })
}
