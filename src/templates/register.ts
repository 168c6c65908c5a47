import { checksum } from '../canonical.js'
import type { Transaction } from '../catalog/catalog.js'
import { keepPlan, type PlanRow, planByName } from '../catalog/plans.js'
import { builtTemplate, keepTemplate, newestTemplate, type TemplateRow } from '../catalog/templates.js'
import { dialects } from '../engines/dialects.js'
import type { EngineName, MigrationFile } from '../engines/engine.js'
import { loadMigrations } from '../engines/migration-files.js'
import { SaasctlError } from '../errors.js'
import { quoteInput, uuidv7 } from '../names.js'
import type { Context } from '../operations/kind.js'
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
    migrations[engine as EngineName] = await loadMigrations(files.migrations, dialects[engine as EngineName])
  }
  const said = Object.entries(migrations).map(([engine, files]) => [
    engine,
    files.map(file => [file.name, file.checksum])
  ])
  return { template, migrations, checksum: checksum([template.checksum, ...said]) }
}

export type KeptTemplate = TemplateRow<TemplateDefinition>

/** What the catalog is changed with, and in whose name. */
type Keeping = Pick<Context, 'catalog' | 'actor' | 'folders'>

/** Makes the files' present content the template's newest version in the catalog; the same content again is the same version. */
export async function registerTemplate({ catalog, actor }: Keeping, content: TemplateContent): Promise<KeptTemplate> {
  const { checksum, template } = content
  const { name, definition } = template
  const newest = await newestTemplate<TemplateDefinition>(catalog, name)
  if (newest?.checksum === checksum) return newest
  return catalog.transaction(actor, async tx => {
    const id = uuidv7()
    const kept = await keepTemplate(tx, { id, name, checksum, definition })
    if (kept.id === id) {
      const payload = { name, version: kept.version, checksum }
      tx.audit({ chain: 'template', action: 'template.version', subject: `template:${id}`, payload })
    }
    return kept
  })
}

/** The version that new tenants start from: what was built last; before the first build, what the files say. */
export async function currentTemplate(context: Keeping, name: string): Promise<KeptTemplate> {
  const kept = await builtTemplate<TemplateDefinition>(context.catalog, name)
  return kept ?? registerTemplate(context, await readTemplate(context.folders.templates, name))
}

export type KeptPlan = PlanRow<Plan>

/** The plan as the catalog has it; a plan that only the file knows yet is taken in. PLAN_NOT_FOUND names those there are. */
export async function currentPlan({ catalog, actor, folders }: Keeping, name: string): Promise<KeptPlan> {
  const kept = await planByName<Plan>(catalog, name)
  if (kept) return kept
  const plans = await loadPlans(folders.templates)
  const plan = plans.find(candidate => candidate.name === name)
  if (!plan) {
    throw new SaasctlError('PLAN_NOT_FOUND', `There is no plan named ${quoteInput(name)}.`, {
      hint:
        plans.length > 0
          ? `The plans are: ${plans.map(candidate => candidate.name).join(', ')}.`
          : `Write plans.json in ${folders.templates}.`
    })
  }
  return catalog.transaction(actor, async tx => {
    await applyPlan(tx, plan)
    const taken = await planByName<Plan>(tx, name)
    if (!taken) throw new Error('the plan was written in this transaction')
    return taken
  })
}

/** Takes a plan into the catalog as its file says it; true when that changed anything. */
export async function applyPlan(tx: Transaction, plan: Plan): Promise<boolean> {
  const { name, checksum } = plan
  const changed = await keepPlan(tx, { name, checksum, definition: plan })
  if (changed) tx.audit({ chain: 'plan', action: 'plan.apply', subject: `plan:${name}`, payload: { checksum } })
  return changed
}

/** The checksum of limits: a warm database made for one plan serves every plan with the same. */
export function profileOf(plan: Pick<KeptPlan, 'definition'>): string {
  return checksum({ ...plan.definition.limits }).slice(0, 16)
}
