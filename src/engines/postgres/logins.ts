import { scramVerifier } from '../../scram.js'
import type { Secret } from '../../secret.js'
import { type DatabaseNames, type LoginRole, loginRoles, type NewLogins } from '../engine.js'
import { connectionLimits } from './limits.js'
import { rolesOf } from './names.js'
import { id, literal } from './quote.js'
import type { Session } from './session.js'
import { endLateSessions, ofLogins, sessionsGone } from './terminate.js'

/**
 * Makes what is missing of the groups and logins, and sets every password, also of a login that exists: the caller has
 * sealed them before. One transaction. App and read-only logins begin closed, and an open one stays open.
 */
export async function makeLogins(session: Session, { names, passwords, limits }: NewLogins): Promise<void> {
  const there = await existing(session, rolesOf(names))
  const bound = connectionLimits(limits)
  const verifiers = await Promise.all(loginRoles.map(role => scramVerifier(passwords[role])))
  const statements = [names.members, names.app]
    .filter(group => !there.has(group))
    .map(group => `CREATE ROLE ${id(group)} NOLOGIN`)
  for (const [index, role] of loginRoles.entries()) {
    const login = names.logins[role]
    const verb = there.has(login) ? 'ALTER ROLE' : 'CREATE ROLE'
    const door = role === 'owner' ? 'LOGIN ' : ''
    const verifier = literal(verifiers[index] ?? '')
    statements.push(`${verb} ${id(login)} ${door}CONNECTION LIMIT ${bound[role]} PASSWORD ${verifier}`)
  }
  const { owner, app_a, app_b, readonly } = names.logins
  statements.push(
    `GRANT ${id(names.members)} TO ${[owner, names.app, readonly].map(id).join(', ')}`,
    `GRANT ${id(names.app)} TO ${id(app_a)}, ${id(app_b)}`,
    // What an app login makes belongs to the group, and survives the login that made it.
    ...[app_a, app_b].map(login => `ALTER ROLE ${id(login)} SET role = ${literal(names.app)}`)
  )
  await session.run(statements.join(';\n'))
}

export async function setPasswords(
  session: Session,
  names: DatabaseNames,
  passwords: Partial<Record<LoginRole, Secret>>
): Promise<void> {
  const statements: string[] = []
  for (const role of loginRoles) {
    const password = passwords[role]
    if (!password) continue
    const verifier = literal(await scramVerifier(password))
    statements.push(`ALTER ROLE ${id(names.logins[role])} PASSWORD ${verifier}`)
  }
  if (statements.length > 0) await session.run(statements.join(';\n'))
}

/**
 * Lets the owner have what the app owns: large objects that the app made are dumped and handed over by the owner, who must
 * be a member of the app's group for that. Not from the start: with two ways to a right, a GRANT may come by the wrong one.
 */
export async function letOwnerHaveApps(session: Session, names: DatabaseNames): Promise<void> {
  await session.run(`GRANT ${id(names.app)} TO ${id(names.logins.owner)}`)
}

export async function openLogins(session: Session, names: DatabaseNames, roles: LoginRole[]): Promise<void> {
  if (roles.length === 0) return
  await session.run(roles.map(role => `ALTER ROLE ${id(names.logins[role])} LOGIN`).join(';\n'))
}

/** Closes the door first, then ends who is inside: the other way round, one could come back. Absent logins are fine. */
export async function closeLogins(
  session: Session,
  names: DatabaseNames,
  roles: LoginRole[],
  graceMs = 0
): Promise<void> {
  const logins = [
    ...(await existing(
      session,
      roles.map(role => names.logins[role])
    ))
  ]
  if (logins.length === 0) return
  await session.run(logins.map(login => `ALTER ROLE ${id(login)} NOLOGIN`).join(';\n'))
  await sessionsGone(session, ofLogins(logins), graceMs)
  await endLateSessions(session, ofLogins(logins))
}

/** Drops logins and groups, in one transaction; what is gone already is fine. Their database must be gone. */
export async function dropLogins(session: Session, names: DatabaseNames): Promise<void> {
  await closeLogins(session, names, [...loginRoles])
  const roles = [...Object.values(names.logins), names.app, names.members]
  await session.run(roles.map(role => `DROP ROLE IF EXISTS ${id(role)}`).join(';\n'))
}

async function existing(session: Session, roles: string[]): Promise<Set<string>> {
  const rows = await session.rows<{ name: string }>(
    'SELECT rolname::text AS name FROM pg_catalog.pg_roles WHERE rolname = ANY ($1)',
    [roles]
  )
  return new Set(rows.map(({ name }) => name))
}
