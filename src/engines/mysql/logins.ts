import type { Secret } from '../../secret.js'
import { type DatabaseNames, type LoginRole, loginRoles, type NewLogins } from '../engine.js'
import { accountsNamed } from './accounts.js'
import { resources } from './limits.js'
import { identifiedBy } from './password-hash.js'
import { account } from './quote.js'
import type { Session } from './session.js'
import { endLateSessions, ofLogins, sessionsGone } from './terminate.js'

/**
 * Makes what is missing of the logins, and sets every password, also of a login that exists: the caller has sealed them
 * before. App and read-only logins begin closed, and an open one stays open. Each statement commits itself: after a kill
 * between two of them the next call goes on.
 */
export async function makeLogins(session: Session, { names, passwords, limits }: NewLogins): Promise<void> {
  const there = await existing(session, Object.values(names.logins))
  for (const role of loginRoles) {
    const login = names.logins[role]
    const tls = session.encrypted ? 'REQUIRE SSL' : 'REQUIRE NONE'
    const what = `${account(login)} ${identifiedBy(session.flavour, passwords[role])} ${tls} ${resources(session, role, limits)}`
    if (there.includes(login)) await session.run(`ALTER USER ${what}`)
    else
      await session.run(
        `CREATE USER IF NOT EXISTS ${what} PASSWORD EXPIRE NEVER ${role === 'owner' ? '' : 'ACCOUNT LOCK'}`
      )
  }
}

export async function setPasswords(
  session: Session,
  names: DatabaseNames,
  passwords: Partial<Record<LoginRole, Secret>>
): Promise<void> {
  for (const role of loginRoles) {
    const password = passwords[role]
    if (!password) continue
    await session.run(`ALTER USER ${account(names.logins[role])} ${identifiedBy(session.flavour, password)}`)
  }
}

export async function openLogins(session: Session, names: DatabaseNames, roles: LoginRole[]): Promise<void> {
  if (roles.length === 0) return
  await session.run(`ALTER USER ${list(roles.map(role => names.logins[role]))} ACCOUNT UNLOCK`)
}

/**
 * Closes the door first, then ends who is inside: the other way round, one could come back, and a session that is there
 * does not notice the lock. Absent logins are fine.
 */
export async function closeLogins(
  session: Session,
  names: DatabaseNames,
  roles: LoginRole[],
  graceMs = 0
): Promise<void> {
  const logins = await existing(
    session,
    roles.map(role => names.logins[role])
  )
  if (logins.length === 0) return
  await session.run(`ALTER USER ${list(logins)} ACCOUNT LOCK`)
  await sessionsGone(session, ofLogins(logins), graceMs)
  await endLateSessions(session, ofLogins(logins))
}

/** Drops the logins; what is gone already is fine. */
export async function dropLogins(session: Session, names: DatabaseNames): Promise<void> {
  await closeLogins(session, names, [...loginRoles])
  await session.run(`DROP USER IF EXISTS ${list(Object.values(names.logins))}`)
}

/** Those of the logins that the server has. */
export async function existing(session: Session, logins: string[]): Promise<string[]> {
  if (logins.length === 0) return []
  return (await accountsNamed(session, logins)).map(({ name }) => name)
}

export const list = (logins: string[]): string => logins.map(account).join(', ')
