import type { Json } from '../canonical.js'
import { findReference, keepReference, type ReferenceKey, type ReferenceRow } from '../catalog/schemas.js'
import type { ServerRow } from '../catalog/servers.js'
import { migrationsChecksum as checksumOf } from '../databases/plan-migrations.js'
import { makeScratch, openScratch, type ScratchInput, ScratchWork, scratchSteps } from '../databases/scratch.js'
import type { MigrationFile } from '../engines/engine.js'
import { SaasctlError } from '../errors.js'
import { uuidv7 } from '../names.js'
import type { Context, Kind, Tools } from '../operations/kind.js'
import type { Follow } from '../operations/operations.js'
import { startOperation } from '../operations/start.js'
import { readTemplate } from './register.js'

class ReferenceWork extends ScratchWork {
  readonly schemas: Array<Pick<ReferenceRow, 'migrationsChecksum' | 'fingerprint' | 'facts'>> = []
}

/**
 * Applies the migrations of a template one by one on a scratch database, and keeps what each makes of the schema, to compare
 * others with. `checksum` is that of the migrations up to the last of them.
 */
export const templateReference: Kind<ScratchInput, ReferenceWork> = {
  name: 'template.reference',
  inputVersion: 1,
  exclusion: 'shared',
  pivot: 'read the schema',
  open: async (tools, operation) => new ReferenceWork(operation, await openScratch(tools, operation.input)),
  steps: scratchSteps({ name: 'read the schema', act: readSchema, commit: keepSchema })
}

async function readSchema(work: ReferenceWork, progress: (sentence: string) => void): Promise<void> {
  const { session, names, engine, tools } = work
  const { template, checksum } = work.operation.input
  const { migrations } = await readTemplate(tools.folders.templates, template)
  const files = filesOf(migrations[engine.name] ?? [], checksum)
  if (!files) throw filesChanged(template)
  const inside = await session.enterDatabase(names, await makeScratch(work))
  try {
    const keep = async (length: number) => {
      const migrationsChecksum = checksumOf(files.slice(0, length), files)
      work.schemas.push({ migrationsChecksum, fingerprint: await inside.fingerprint(), facts: await inside.facts() })
    }
    await keep(0)
    for (const [index, file] of files.entries()) {
      progress(`applies ${file.name}`)
      await inside.apply(file, 'up', files[index - 1]?.name ?? null)
      await keep(index + 1)
    }
  } finally {
    await inside.end()
  }
}

async function keepSchema(tx: Parameters<typeof keepReference>[0], work: ReferenceWork): Promise<void> {
  for (const schema of work.schemas)
    await keepReference(tx, { ...keyOf(work.server, schema.migrationsChecksum), ...schema })
}

/** The files, from the first on, that have this checksum together; undefined when no such beginning has. */
export function filesOf(files: MigrationFile[], checksum: string): MigrationFile[] | undefined {
  for (let length = files.length; length >= 0; length -= 1) {
    const first = files.slice(0, length)
    if (checksumOf(first, files) === checksum) return first
  }
  return undefined
}

export function keyOf(server: ServerRow, checksum: string): ReferenceKey {
  const { flavour = '', major = 0 } = server.facts
  return { engine: server.engine, flavour, major, migrationsChecksum: checksum }
}

/**
 * What the template's migrations make on this kind of server; made on a scratch database of the server when nobody has asked
 * before. MIGRATION_CHANGED when the files are no longer those that were applied.
 */
export async function schemaReference(
  context: Context,
  wish: { template: string; server: ServerRow; checksum: string },
  follow: Follow = {}
): Promise<ReferenceRow> {
  const key = keyOf(wish.server, wish.checksum)
  const known = await findReference(context.catalog, key)
  if (known) return known
  await mustHave(context, wish)
  const { actor, operations, catalog } = context
  const claim = await operations.claim(true)
  const input = {
    databaseId: uuidv7(),
    serverId: wish.server.id,
    template: wish.template,
    checksum: wish.checksum
  } satisfies Record<string, Json>
  const operation = await catalog.transaction(actor, tx => {
    tx.audit({ chain: 'template', action: 'template.reference', subject: `template:${wish.template}`, payload: input })
    return startOperation(tx, {
      kind: templateReference,
      input,
      subject: `database:${input.databaseId}`,
      actor,
      claim
    })
  })
  await operations.follow(operation, follow)
  const made = await findReference(catalog, key)
  if (!made) throw new SaasctlError('FAILED', `The schema of template ${wish.template} was read but not kept.`)
  return made
}

async function mustHave(
  { folders }: Pick<Tools, 'folders'>,
  wish: { template: string; server: ServerRow; checksum: string }
) {
  const { migrations } = await readTemplate(folders.templates, wish.template)
  if (!filesOf(migrations[wish.server.engine] ?? [], wish.checksum)) throw filesChanged(wish.template)
}

function filesChanged(template: string): SaasctlError {
  return new SaasctlError(
    'MIGRATION_CHANGED',
    `The files of template ${template} are no longer those that made the schema.`,
    { hint: 'Put them back as they were; "saasctl migration check" names those that were edited.' }
  )
}
