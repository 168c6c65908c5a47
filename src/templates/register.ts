import { checksum } from '../canonical.js'
import type { Queryable } from '../catalog/catalog.js'
import { keepPlan, type PlanRow, planByName } from '../catalog/plans.js'
import { builtTemplate, keepTemplate, type TemplateRow } from '../catalog/templates.js'
import type { EngineName, MigrationFile } from '../engines/engine.js'
import { loadMigrations } from '../engines/migration-files.js'
import { SaasctlError } from '../errors.js'
import { quoteInput, uuidv7 } from '../names.js'
import { loadTemplate, type Template, type TemplateDefinition } from './files.js'
import { loadPlans, type Plan } from './plan-files.js'

export interface TemplateContent {
  template: Template
  migrations: Partial<Record<EngineName, MigrationFile[]>>
  /** Of everything a database made from it would hold. */
  checksum: string
}

/** Reads a template with its migrations. The files are the truth. */
export async function readTemplate(folder: string, name: string): Promise<TemplateContent> {
  const template = await loadTemplate(folder, name)
  const migrations: TemplateContent['migrations'] = {}
  for (const [engine, files] of Object.entries(template.engines)) {
    migrations[engine as EngineName] = await loadMigrations(files.migrations)
  }
  const said = Object.entries(migrations).map(([engine, files]) => [
    engine,
    files.map(file => [file.name, file.checksum])
  ])
  return { template, migrations, checksum: checksum([template.checksum, ...said]) }
}

export type KeptTemplate = TemplateRow<TemplateDefinition>

/** Makes the files' present content the template's newest version in the catalog; the same content again is the same version. */
export async function registerTemplate(q: Queryable, content: TemplateContent): Promise<KeptTemplate> {
  const { name, definition } = content.template
  return (await keepTemplate(q, {
    id: uuidv7(),
    name,
    checksum: content.checksum,
    definition
  })) as unknown as KeptTemplate
}

/** The version that new tenants start from: what was built last; before the first build, what the files say. */
export async function currentTemplate(q: Queryable, folder: string, name: string): Promise<KeptTemplate> {
  const kept = await builtTemplate(q, name)
  return (kept as unknown as KeptTemplate | undefined) ?? registerTemplate(q, await readTemplate(folder, name))
}

export type KeptPlan = PlanRow<Plan>

/** The plan as the catalog has it; a plan that only the file knows yet is taken in. PLAN_NOT_FOUND names those there are. */
export async function currentPlan(q: Queryable, folder: string, name: string): Promise<KeptPlan> {
  const kept = (await planByName(q, name)) as unknown as KeptPlan | undefined
  if (kept) return kept
  const plans = await loadPlans(folder)
  const plan = plans.find(candidate => candidate.name === name)
  if (!plan) {
    throw new SaasctlError('PLAN_NOT_FOUND', `There is no plan named ${quoteInput(name)}.`, {
      hint:
        plans.length > 0
          ? `The plans are: ${plans.map(candidate => candidate.name).join(', ')}.`
          : `Write plans.json in ${folder}.`
    })
  }
  await keepPlan(q, { name, checksum: plan.checksum, definition: plan })
  return (await planByName(q, name)) as unknown as KeptPlan
}

/** The checksum of limits: a warm database made for one plan serves every plan with the same. */
export function profileOf(plan: KeptPlan): string {
  return checksum({ ...plan.definition.limits }).slice(0, 16)
}
