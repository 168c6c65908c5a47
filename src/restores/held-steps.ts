import { setSchema } from '../catalog/databases.js'
import type { Step } from '../operations/kind.js'
import { REQUESTS_MS } from '../tenants/suspend.js'
import { besideSteps } from './beside-steps.js'
import { hold, letGo } from './hold-steps.js'
import type { BesideWork } from './work.js'

const [makeLogins, , , openAndLook] = besideSteps as [Step<BesideWork>, unknown, unknown, Step<BesideWork>]

/** A copy that the server makes of a database that nobody is in: the tenant is held until it is there, and no longer. */
export const heldSteps: ReadonlyArray<Step<BesideWork>> = [
  makeLogins,
  hold,
  {
    name: 'seal the source',
    act: async ({ session, other }) => {
      // The database is the one door: closing the logins too took another 30 ms, of which 25 are for those on the threshold.
      await session.sealDatabase(other.names, REQUESTS_MS)
    },
    undo: openSource
  },
  {
    name: 'copy',
    act: async ({ session, engine, access, names, other }) => {
      // As it is now: how large it is decides how it is copied, and the catalog knows how large it was.
      const { bytes } = await engine.state(access, other.names)
      await session.makeDatabase(names, { names: other.names, bytes })
      await session.guardDatabase(names)
    },
    undo: ({ session, names }) => session.dropDatabase(names)
  },
  {
    name: 'let the source go',
    act: async work => {
      await openSource(work)
      await letGo(work)
    }
  },
  {
    name: 'hand over',
    act: async work => {
      const { session, names, database, other } = work
      await session.furnishDatabase({
        names,
        databaseId: database.id,
        owner: await work.logins.credentials('owner'),
        from: { names: other.names, owner: await other.logins.credentials('owner') }
      })
      await session.setLimits(names, database.limits)
    },
    commit: (tx, { database, other }) =>
      setSchema(tx, database.id, { ...other.schema, migrationsChecksum: other.schema.migrationsChecksum ?? '' })
  },
  openAndLook
]

async function openSource(work: BesideWork): Promise<void> {
  const { session, other } = work
  await session.unsealDatabase(other.names)
  await session.openLogins(other.names, ['owner', 'readonly', ...(await work.otherAppLogins())])
}
