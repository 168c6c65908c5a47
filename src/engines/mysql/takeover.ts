import type { Takeover } from '../engine.js'
import type { Way } from './connect.js'
import { guardDatabase, revoke } from './databases.js'
import { furnishDatabase } from './furnish.js'
import { recordsOf } from './names.js'
import { account, all, id } from './quote.js'
import { ownerVerbs } from './recipe.js'
import type { Session } from './session.js'
import { endLateSessions, ofLogins } from './terminate.js'

/**
 * Databases have no owners here and keep their names: what changes is who has rights to them, and the records beside. The
 * rights of others are theirs until an administrator takes them: a view or routine of theirs runs with them.
 */
export function mysqlTakeover(
  session: Session,
  enter: (way: Pick<Way, 'database' | 'as'>) => Promise<Session>
): Takeover {
  return {
    letIn: async ({ names, from }) => {
      await session.run(`GRANT ${ownerVerbs.join(', ')} ON ${all(from)} TO ${account(names.logins.owner)}`)
    },
    inspect: () => Promise.resolve(),
    letOut: ({ names }) => revoke(session, names),
    close: () => Promise.resolve(),
    handOver: async ({ names, databaseId, owner }) => {
      await guardDatabase(session, names)
      await furnishDatabase(session, enter, { names, databaseId, owner })
    },
    giveBack: async ({ names }) => {
      await revoke(session, names)
      await endLateSessions(session, ofLogins(Object.values(names.logins)))
      await session.run(`DROP DATABASE IF EXISTS ${id(recordsOf(names.database))}`)
    }
  }
}
