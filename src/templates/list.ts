import { type BuiltTemplate, builtTemplates } from '../catalog/databases.js'
import { newestTemplate } from '../catalog/templates.js'
import type { EngineName } from '../engines/engine.js'
import type { Context } from '../operations/kind.js'
import { loadTemplates } from './files.js'
import { readTemplate } from './register.js'

export interface TemplateLine {
  name: string
  description: string
  defaultPlan: string
  engines: EngineName[]
  /** The version that new tenants start from; null before the first build. */
  version: number | null
  /** The files say something else than that version: a build would make a new one. */
  changed: boolean
  /** Where its present version is built. */
  servers: string[]
}

/** Every template that the files know, beside what the catalog keeps of it. */
export async function listTemplates(context: Context): Promise<TemplateLine[]> {
  const templates = await loadTemplates(context.folders.templates)
  return Promise.all(templates.map(({ name }) => line(context, name)))
}

async function line(context: Context, name: string): Promise<TemplateLine> {
  const [{ template, checksum }, kept, built] = await Promise.all([
    readTemplate(context.folders.templates, name),
    newestTemplate(context.catalog, name),
    builtTemplates(context.catalog, name)
  ])
  return {
    name,
    description: template.description,
    defaultPlan: template.defaultPlan,
    engines: Object.keys(template.engines) as EngineName[],
    version: kept?.version ?? null,
    changed: kept !== undefined && kept.checksum !== checksum,
    servers: built.filter(row => row.version === kept?.version).map(row => row.server)
  }
}

export interface TemplateDetails extends TemplateLine {
  migrations: Partial<Record<EngineName, string[]>>
  seeds: Partial<Record<EngineName, string[]>>
  built: BuiltTemplate[]
}

export async function showTemplate(context: Context, name: string): Promise<TemplateDetails> {
  const { template, migrations } = await readTemplate(context.folders.templates, name)
  const byEngine = <T, R>(record: Partial<Record<EngineName, T>>, pick: (value: T) => R) =>
    Object.fromEntries(Object.entries(record).map(([engine, value]) => [engine, pick(value as T)])) as Partial<
      Record<EngineName, R>
    >
  return {
    ...(await line(context, name)),
    migrations: byEngine(migrations, files => files.map(file => file.name)),
    seeds: byEngine(template.engines, files => files.seeds.map(seed => seed.file)),
    built: await builtTemplates(context.catalog, name)
  }
}
