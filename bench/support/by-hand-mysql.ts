import type { Catalog } from '../../src/catalog/catalog.js'
import { type Credentials, type DatabaseLimits, loginRoles, type ServerAccess } from '../../src/engines/engine.js'
import { connect } from '../../src/engines/mysql/connect.js'
import { guardDatabase, makeDatabase } from '../../src/engines/mysql/databases.js'
import { identityOf, writeIdentity } from '../../src/engines/mysql/identity.js'
import { resources, setLimits } from '../../src/engines/mysql/limits.js'
import { openLogins } from '../../src/engines/mysql/logins.js'
import { namesOf } from '../../src/engines/mysql/names.js'
import { identifiedBy } from '../../src/engines/mysql/password-hash.js'
import { play } from '../../src/engines/mysql/play.js'
import { account, id } from '../../src/engines/mysql/quote.js'
import { makeRecords } from '../../src/engines/mysql/records.js'
import type { Session } from '../../src/engines/mysql/session.js'
import type { Snapshot } from '../../src/engines/mysql/snapshot.js'
import { uuidv7 } from '../../src/names.js'
import { randomPassword } from '../../src/secrets/passwords.js'
import type { MariadbServer } from '../../test/support/mariadb-server.js'

/** What the script keeps from one tenant to the next. */
export interface MysqlHands {
  control: Session
  access: ServerAccess
  snapshot: Snapshot
  catalog: Catalog
}

/**
 * Makes an isolated tenant database on MariaDB as a straight script would: the statements that the engine sends, in its
 * order, and two rows of the catalog. No ledger, no fence, no look at what is there, no sealed password, no way back.
 */
export async function createByHand({ control, access, snapshot, catalog }: MysqlHands, limits: DatabaseLimits) {
  const databaseId = uuidv7()
  const names = namesOf(databaseId)
  const { database, logins } = names
  const tenantId = uuidv7()
  await catalog.transaction({ name: 'tester', proof: 'asserted' }, async tx => {
    await tx.query(
      `insert into saasctl.tenant (id, slug, status, plan, template) values ($1, $2, 'active', 'free', 'standard')`,
      [tenantId, `hand-${tenantId}`]
    )
    tx.audit({ chain: `tenant:${tenantId}`, action: 'tenant.create', subject: `tenant:${tenantId}`, payload: {} })
  })
  const passwords = Object.fromEntries(loginRoles.map(role => [role, randomPassword()])) as Record<
    (typeof loginRoles)[number],
    Credentials['password']
  >
  for (const role of loginRoles) {
    const proof = identifiedBy(control.flavour, passwords[role])
    await control.run(
      `CREATE USER ${account(logins[role])} ${proof} REQUIRE NONE ${resources(control, role, limits)}
       PASSWORD EXPIRE NEVER ${role === 'owner' ? '' : 'ACCOUNT LOCK'}`
    )
  }
  await makeDatabase(control, names)
  await guardDatabase(control, names)
  const owner = { login: logins.owner, password: passwords.owner }
  const inside = await connect(access, { database, as: owner, programName: 'by hand' })
  await makeRecords(inside, database)
  await play(inside, snapshot)
  await writeIdentity(inside, database, databaseId)
  inside.leave()
  await setLimits(control, names, limits)
  await openLogins(control, names, ['app_a', 'app_b', 'readonly'])
  const app = { login: logins.app_a, password: passwords.app_a }
  const tenant = await connect(access, { database, as: app, programName: 'by hand' })
  await tenant.rows(`SELECT database_id FROM ${identityOf(database)}`)
  tenant.leave()
}

/** A session that may do all, as a copy without rights of its own needs. */
export async function rootSession(server: MariadbServer, access: ServerAccess): Promise<Session> {
  const as = { login: 'bencher', password: randomPassword() }
  const { login, password } = as
  await server.root(
    `CREATE USER ${login}@'%' IDENTIFIED BY '${password.reveal()}'; GRANT ALL ON *.* TO ${login}@'%' WITH GRANT OPTION`
  )
  return await connect(access, { database: null, as, programName: 'by hand' })
}

/** The least that a copy can cost here: the database, its tables and its rows. */
export async function bareCopy(root: Session, database: string, snapshot: Snapshot): Promise<void> {
  await root.run(`CREATE DATABASE ${id(database)}`)
  await root.run(`USE ${id(database)}`)
  await play(root, { ...snapshot, migrations: [] })
}
