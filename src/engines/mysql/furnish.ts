import type { Furnish } from '../engine.js'
import type { Way } from './connect.js'
import { writeIdentity } from './identity.js'
import type { Session } from './session.js'
export async function furnishDatabase(
  _session: Session,
  enter: (way: Pick<Way, 'database' | 'as'>) => Promise<Session>,
  { names, owner, databaseId }: Furnish
) {
  const inside = await enter({ database: names.database, as: owner })
  try {
    await writeIdentity(inside, names.database, databaseId)
  } finally {
    inside.leave()
  }
}
