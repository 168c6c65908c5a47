import type { Json } from '../canonical.js'
import { setDatabaseState } from '../catalog/databases.js'
import { templateById } from '../catalog/templates.js'
import { copySteps, openAndLook, recordCopied } from '../databases/create-steps.js'
import { recordDropped } from '../databases/drop-steps.js'
import { CopyWork, DatabaseWork, gather } from '../databases/work.js'
import type { Kind } from '../operations/kind.js'
import { fillDatabase } from './fill.js'

interface WarmInput extends Record<string, Json> {
  databaseId: string
}

/** Makes a database that no tenant has yet: a sign-up claims it in one catalog transaction. */
export const warmCreate: Kind<WarmInput, CopyWork> = {
  name: 'warm.create',
  inputVersion: 1,
  exclusion: 'shared',
  open: async (tools, operation) => new CopyWork(operation, await gather(tools, operation.input.databaseId)),
  steps: [
    ...copySteps,
    openAndLook,
    {
      name: 'offer',
      commit: async (tx, work) => {
        const { database } = work
        await recordCopied(tx, work)
        await setDatabaseState(tx, database.id, 'ready')
        tx.audit({
          chain: 'database',
          action: 'warm.create',
          subject: `database:${database.id}`,
          payload: { name: database.name }
        })
      }
    }
  ],
  failed: (tx, { input }) => recordDropped(tx, input.databaseId)
}

interface RefreshInput extends WarmInput {
  template: string
  templateId: string
}

/** Brings a warm database to its template's new head; nobody can claim it meanwhile. One that cannot follow is dropped. */
export const warmMigrate: Kind<RefreshInput, DatabaseWork> = {
  name: 'warm.migrate',
  inputVersion: 1,
  exclusion: 'shared',
  open: async (tools, operation) => new DatabaseWork(operation, await gather(tools, operation.input.databaseId)),
  steps: [
    {
      name: 'migrate',
      act: async (work, progress) => {
        const { template, templateId } = work.operation.input as RefreshInput
        const { checksum = '' } = (await templateById(work.tools.catalog, templateId)) ?? {}
        const inside = await work.session.enterDatabase(work.names, await work.logins.credentials('owner'))
        try {
          await fillDatabase(work, inside, { template, checksum }, progress)
        } finally {
          await inside.end()
        }
      },
      undo: async ({ session, names }) => {
        await session.dropDatabase(names)
        await session.dropLogins(names)
      }
    },
    { name: 'offer', commit: (tx, { database }) => setDatabaseState(tx, database.id, 'ready') }
  ],
  failed: (tx, { input }) => recordDropped(tx, input.databaseId)
}
