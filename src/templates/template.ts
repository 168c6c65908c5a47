import type { EngineName } from '../engines/engine.js'
import type { MaskRule } from '../engines/snapshot.js'
import { list, map, name, object, oneOf, text } from './shape.js'

/** A template as `<name>/template.json` writes it down; this is what the catalog keeps. */
export interface TemplateDefinition {
  /** For people, one sentence. */
  readonly description: string
  /** The plan of a tenant that was made without one. */
  readonly defaultPlan: string
  /** Every tenant made from it gets these, beside its own. */
  readonly labels: Readonly<Record<string, string>>
  /** The engines it can be made on. */
  readonly engines: ByEngine<EngineFiles>
  /** What exports that leave the company hide. */
  readonly export?: ExportRules
}

export interface ExportRules {
  /** By `table.column`, or `schema.table.column`. */
  readonly mask: Readonly<Record<string, MaskRule>>
}

/** Paths relative to the template's own folder, with `/`. */
export interface EngineFiles {
  readonly migrations: string
  /** Files within the templates folder. */
  readonly seeds: readonly string[]
}

/** What a new tenant database starts as: the definition, with the files it names found and read. */
export interface Template extends Omit<TemplateDefinition, 'engines'> {
  readonly name: string
  readonly engines: ByEngine<TemplateFiles>
  readonly definition: TemplateDefinition
  /** SHA-256 of the definition and the seeds, hex. Migrations have checksums of their own. */
  readonly checksum: string
}

export interface TemplateFiles {
  /** The folder of the migrations, absolute. */
  readonly migrations: string
  /** Run in this order after the migrations, as the database's owner; each may run again after a crash. */
  readonly seeds: readonly Seed[]
}

export interface Seed {
  /** Its path within the templates folder, for messages. */
  readonly file: string
  readonly sql: string
}

type ByEngine<T> = Readonly<Partial<Record<EngineName, T>>>

export const engineNames: readonly EngineName[] = ['postgres', 'mysql']

const maskRules: readonly MaskRule[] = ['drop', 'redact', 'hash']

export const template = object<TemplateDefinition>(
  {
    description: text,
    defaultPlan: name,
    labels: map(name, text),
    engines: map(oneOf(engineNames), object<EngineFiles>({ migrations: text, seeds: list(text) }))
  },
  { export: object<ExportRules>({ mask: map(text, oneOf(maskRules)) }) }
)
