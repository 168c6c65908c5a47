import type { Transaction } from '../catalog/catalog.js'
import { setSchema } from '../catalog/databases.js'
import type { Step } from '../operations/kind.js'
import type { CopyWork } from './work.js'

/**
 * What making a database means, as a list a reader can say aloud. No window opens: the database is born closed, the public's
 * rights go before anybody may connect, and the app logins open only when everything in it is its own.
 * The logins come first so that undoing backwards drops the database before its owner.
 */
export const copySteps: ReadonlyArray<Step<CopyWork>> = [
  {
    name: 'make logins',
    act: async ({ session, names, logins, database }) =>
      session.makeLogins({ names, passwords: await logins.passwords(), limits: database.limits }),
    undo: ({ session, names }) => session.dropLogins(names)
  },
  {
    name: 'copy template',
    act: async work => {
      const template = await work.template()
      await work.session.makeDatabase(work.names, { names: template.names, bytes: template.database.bytes ?? 0 })
      await work.session.guardDatabase(work.names)
    },
    undo: ({ session, names }) => session.dropDatabase(names)
  },
  {
    name: 'hand over',
    act: async work => {
      const template = await work.template()
      await work.session.furnishDatabase({
        names: work.names,
        databaseId: work.database.id,
        owner: await work.logins.credentials('owner'),
        from: { names: template.names, owner: await template.logins.credentials('owner') }
      })
      await work.session.setLimits(work.names, work.database.limits)
    }
  }
]

/** The last of them. */
export const openAndLook: Step<CopyWork> = {
  name: 'open and look',
  act: async work => {
    await work.session.openLogins(work.names, ['app_a', 'app_b', 'readonly'])
    await look(work)
  },
  undo: ({ session, names }) => session.closeLogins(names, ['app_a', 'app_b', 'readonly'])
}

/** What the catalog knows of a copy at once: it is what its template is. */
export async function recordCopied(tx: Transaction, work: CopyWork): Promise<void> {
  const { database } = await work.template()
  await setSchema(tx, work.database.id, { ...database, migrationsChecksum: database.migrationsChecksum ?? '' })
}

/** Logs in as the tenant and sees that it is the right database: the proof, and the slow first connect (11 ms) done by us. */
async function look(work: CopyWork): Promise<void> {
  await work.engine.identify(
    work.access,
    work.names.database,
    await work.logins.credentials(work.database.activeApp),
    work.database.id
  )
}
