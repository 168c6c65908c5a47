import type { DatabaseNames } from '../engine.js'
import { COLLATION } from './connect.js'
import { identityOf, identityTable } from './identity.js'
import { existing, list } from './logins.js'
import { recordsOf } from './names.js'
import { account, all, id } from './quote.js'
import { appVerbs, ownerVerbs, readonlyVerbs } from './recipe.js'
import type { Session } from './session.js'
import { endLateSessions, inDatabases, ofLogins, sessionsGone } from './terminate.js'

/**
 * Makes the database, empty and closed: nobody has a right to it. There are no templates here; `furnishDatabase` plays
 * what the template holds. One that is there is left as it is.
 */
export async function makeDatabase(session: Session, names: DatabaseNames): Promise<void> {
  await session.run(`CREATE DATABASE IF NOT EXISTS ${id(names.database)} CHARACTER SET utf8mb4 COLLATE ${COLLATION}`)
}

/** Makes the database of our records beside it, and only then gives each login its verbs, one by one and never ALL. */
export async function guardDatabase(session: Session, names: DatabaseNames): Promise<void> {
  const records = id(recordsOf(names.database))
  await session.run(`CREATE DATABASE IF NOT EXISTS ${records} CHARACTER SET utf8mb4 COLLATE ${COLLATION}`)
  await session.run(identityTable(names.database))
  await grant(session, names)
}

/** Closes the database: takes every right from its logins, then ends who is inside. An absent one is as closed as can be. */
export async function sealDatabase(session: Session, names: DatabaseNames, graceMs = 0): Promise<void> {
  await revoke(session, names)
  await sessionsGone(session, ofLogins(Object.values(names.logins)), graceMs)
  await endLateSessions(session, inDatabases([names.database, recordsOf(names.database)]))
  await endLateSessions(session, ofLogins(Object.values(names.logins)))
}

/** Opens it for its logins again, and for nobody else. */
export async function unsealDatabase(session: Session, names: DatabaseNames): Promise<void> {
  await grant(session, names)
}

/**
 * Drops it whoever is connected, sealed or not. Rights outlive what they are for: they go first, or a database of the same
 * name would be open to the old logins. The records go before the rest, so that they are nowhere alone.
 */
export async function dropDatabase(session: Session, names: DatabaseNames): Promise<void> {
  await sealDatabase(session, names)
  await session.run(`DROP DATABASE IF EXISTS ${id(recordsOf(names.database))}`)
  await session.run(`DROP DATABASE IF EXISTS ${id(names.database)}`)
}

async function grant(session: Session, { database, logins }: DatabaseNames): Promise<void> {
  const [main, records] = [all(database), all(recordsOf(database))]
  const apps = list([logins.app_a, logins.app_b])
  await session.run(`GRANT ${ownerVerbs.join(', ')} ON ${records} TO ${account(logins.owner)}`)
  await session.run(`GRANT SELECT ON ${identityOf(database)} TO ${apps}, ${account(logins.readonly)}`)
  await session.run(`GRANT ${appVerbs.join(', ')} ON ${main} TO ${apps}`)
  await session.run(`GRANT ${readonlyVerbs.join(', ')} ON ${main} TO ${account(logins.readonly)}`)
  // Last: that the owner may enter is what tells an open database from a closed one.
  await session.run(`GRANT ${ownerVerbs.join(', ')} ON ${main} TO ${account(logins.owner)}`)
}

/** Takes all rights from those of the logins that there are: all that they ever had was to this database. */
export async function revoke(session: Session, names: DatabaseNames): Promise<void> {
  const logins = await existing(session, Object.values(names.logins))
  if (logins.length > 0) await session.run(`REVOKE ALL PRIVILEGES, GRANT OPTION FROM ${list(logins)}`)
}
