import type { Transaction } from '../catalog/catalog.js'
import { databaseById, setDatabaseState } from '../catalog/databases.js'
import { forgetLogins } from '../catalog/logins.js'
import { givePlaceBack } from '../catalog/servers.js'
import type { Step } from '../operations/kind.js'
import type { DatabaseWork } from './work.js'

/** What dropping a database means. Its rights go before it does: a name used again must find nothing of the old one. */
export const dropSteps: ReadonlyArray<Step<DatabaseWork>> = [
  {
    name: 'close logins',
    act: ({ session, names }) => session.closeLogins(names, ['app_a', 'app_b', 'readonly', 'owner'])
  },
  { name: 'drop database', act: ({ session, names }) => session.dropDatabase(names) },
  { name: 'drop logins', act: ({ session, names }) => session.dropLogins(names) }
]

/** What the catalog keeps of a dropped database: its row, as proof that the name was ours; not its passwords. */
export async function recordDropped(tx: Transaction, databaseId: string): Promise<void> {
  const database = await databaseById(tx, databaseId)
  if (!database || database.state === 'dropped') return
  await setDatabaseState(tx, databaseId, 'dropped')
  await forgetLogins(tx, databaseId)
  await givePlaceBack(tx, database.serverId)
}
