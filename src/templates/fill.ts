import { migrateDatabase } from '../databases/migrate.js'
import type { DatabaseWork } from '../databases/work.js'
import type { OwnerSession } from '../engines/engine.js'
import { SaasctlError } from '../errors.js'
import { readTemplate } from './register.js'

/**
 * Brings the inside of a database to what the template's files say: migrations, then seeds, which may run twice.
 * MIGRATION_CHANGED when the files are not those of the version that was promised.
 */
export async function fillDatabase(
  work: DatabaseWork,
  inside: OwnerSession,
  { template, checksum }: { template: string; checksum: string },
  progress: (sentence: string) => void
): Promise<void> {
  const content = await readTemplate(work.tools.folders.templates, template)
  if (content.checksum !== checksum) {
    throw new SaasctlError('MIGRATION_CHANGED', `The files of template ${template} changed while it was being built.`, {
      hint: 'Build it again.'
    })
  }
  const engine = work.engine.name
  const wish = { direction: 'up', to: null } as const
  await migrateDatabase(work, inside, template, content.migrations[engine] ?? [], wish, progress)
  for (const seed of content.template.engines[engine]?.seeds ?? []) {
    progress(`seeds ${seed.file}`)
    await inside.run(seed.sql)
  }
}
