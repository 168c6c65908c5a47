import { SaasctlError } from '../../errors.js'
import type { Furnish } from '../engine.js'
import type { Way } from './connect.js'
import { identityOf, writeIdentity } from './identity.js'
import { clear, play } from './play.js'
import { makeRecords } from './records.js'
import type { Session } from './session.js'
import { readSnapshot, type Snapshot } from './snapshot.js'

type Enter = (way: Pick<Way, 'database' | 'as'>) => Promise<Session>

/**
 * Makes the ledger and, for a copy, everything that the template has, as the database's own owner; the identity row comes
 * last. A database that has it is whole, and is left as it is; one that an earlier try did not finish begins anew.
 */
export async function furnishDatabase(session: Session, enter: Enter, furnish: Furnish): Promise<void> {
  const { names, owner, databaseId, from } = furnish
  const inside = await enter({ database: names.database, as: owner })
  try {
    await makeRecords(inside, names.database)
    if (from && !(await isWhole(inside, names.database, databaseId))) {
      const read = from.living ? readSnapshot : remembered
      const snapshot = await read(session, from.names.database)
      await clear(inside)
      await play(inside, snapshot)
    }
    await writeIdentity(inside, names.database, databaseId)
  } finally {
    inside.leave()
  }
}

/** Whether it was furnished before. What bears another database's identity is somebody's, and nothing in it is touched. */
async function isWhole(inside: Session, database: string, databaseId: string): Promise<boolean> {
  const rows = await inside.rows<{ id: string }>(`SELECT database_id AS id FROM ${identityOf(database)}`)
  if (rows.some(({ id }) => id !== databaseId)) {
    throw new SaasctlError('IDENTITY_WRONG', `The database "${database}" says that it is another one.`, {
      hint: 'Nothing was changed in it. Look whose it is before you go on.'
    })
  }
  return rows.length > 0
}

const KEPT = 4

/**
 * The last snapshots, by server and template. A template is sealed before it is copied and its name is never used again,
 * so that none is ever out of date; reading one costs as much as playing it.
 */
const snapshots = new Map<string, Promise<Snapshot>>()

async function remembered(session: Session, database: string): Promise<Snapshot> {
  const key = `${session.place.host}:${session.place.port}/${database}`
  const known = snapshots.get(key)
  if (known) return known
  const reading = readSnapshot(session, database)
  snapshots.set(key, reading)
  for (const oldest of [...snapshots.keys()].slice(0, -KEPT)) snapshots.delete(oldest)
  // What failed is read again by whoever comes next.
  reading.catch(() => snapshots.delete(key))
  return reading
}
