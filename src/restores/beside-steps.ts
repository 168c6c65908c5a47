import { bindAhead } from '../databases/bind.js'
import type { Step } from '../operations/kind.js'
import type { BesideWork } from './work.js'

/** Making a database beside another from what was dumped, as a list a reader can say aloud. Nobody is sent to it yet. */
export const besideSteps: ReadonlyArray<Step<BesideWork>> = [
  {
    name: 'make logins',
    act: async ({ session, names, logins, database }) =>
      session.makeLogins({ names, passwords: await logins.passwords(), limits: database.limits }),
    undo: ({ session, names }) => session.dropLogins(names)
  },
  {
    name: 'fill and compare',
    act: (work, progress, signal) => work.fill(progress, signal),
    commit: (tx, work) => work.recordFilled(tx),
    undo: ({ session, names }) => session.dropDatabase(names)
  },
  { name: 'migrate', act: (work, progress) => work.migrate(progress) },
  {
    name: 'open and look',
    act: async work => {
      const app = await work.appLogins()
      await work.session.openLogins(work.names, ['readonly', ...app])
      if (app.length > 0) await work.look()
      // What is made for a tenant that is there is its own when it takes the other's place, not before.
      if (work.input.sourceTenantId !== null) await bindAhead(work, work.input.tenantId)
    },
    undo: ({ session, names }) => session.closeLogins(names, ['app_a', 'app_b', 'readonly'])
  }
]
