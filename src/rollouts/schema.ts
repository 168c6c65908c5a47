import { migrationsChecksum, noMigration } from '../databases/plan-migrations.js'
import type { EngineName, MigrationFile } from '../engines/engine.js'

/** Where the schema of one engine can stand, told from the catalog alone: so many of the files in their order, and no other. */
export class EngineSchema {
  readonly files: MigrationFile[]
  readonly #positions: Map<string, number>

  constructor(files: MigrationFile[]) {
    this.files = files
    const ends = [...files.keys(), files.length]
    this.#positions = new Map(ends.map(end => [migrationsChecksum(files.slice(0, end), files), end]))
  }

  /** How many of the files a database has, by its checksum; undefined when it has others, or in another order. */
  position(checksum: string | null): number | undefined {
    return checksum === null ? undefined : this.#positions.get(checksum)
  }

  /** What the catalog says of a database that ends at `name`; null is before the first. */
  checksumAt(name: string | null): string {
    return migrationsChecksum(this.upTo(name), this.files)
  }

  upTo(name: string | null): MigrationFile[] {
    return this.files.slice(0, name === null ? 0 : this.indexOf(name) + 1)
  }

  /** MIGRATION_NOT_FOUND when no file has the name. */
  indexOf(name: string): number {
    const index = this.files.findIndex(file => file.name === name)
    if (index >= 0) return index
    throw noMigration(this.files, name)
  }
}

export type Schemas = Map<EngineName, EngineSchema>

/** What a rollout keeps of its files, to know later whether they are still the same. */
export type KeptFiles = Record<string, Array<{ name: string; checksum: string }>>

export function keptFiles(schemas: Schemas, target: string | null): KeptFiles {
  return Object.fromEntries(
    [...schemas].map(([engine, schema]) => {
      const files = target === null ? schema.files : schema.upTo(target)
      return [engine, files.map(({ name, checksum }) => ({ name, checksum }))]
    })
  )
}

/** The first file that is not what the rollout kept of it, as a sentence; undefined when all are. */
export function changedFile(schemas: Schemas, kept: KeptFiles): string | undefined {
  for (const [engine, files] of Object.entries(kept)) {
    const now = new Map(schemas.get(engine as EngineName)?.files.map(file => [file.name, file.checksum]))
    for (const { name, checksum } of files) {
      if (!now.has(name)) return `Migration ${name} (${engine}) is gone.`
      if (now.get(name) !== checksum) return `Migration ${name} (${engine}) was edited.`
    }
    const [last] = files.slice(-1)
    const order = [...now.keys()].slice(0, files.length)
    if (last && order.join('/') !== files.map(file => file.name).join('/')) {
      return `A migration was added before ${last.name} (${engine}).`
    }
  }
  return undefined
}
